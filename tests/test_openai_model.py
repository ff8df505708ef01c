"""What a model behind a provider promises, in both of its APIs: whole answers, and none taken for whole that is not."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from agents import Agent, ModelRetrySettings, ModelSettings, RunConfig, Runner, function_tool, retry_policies
from openai.types.responses import ResponseCompletedEvent

from agent_core.errors import (
    AnswerCut,
    AnswerFiltered,
    AnswerStalled,
    AnswerTruncated,
    ModelMisconfigured,
    ModelUnavailable,
)
from agent_core.openai_model import OpenAIModel
from agent_core.provider_stream import ARGUMENT_CHARACTERS
from tests.asker import Asker, calls, message
from tests.fake_openai import USAGE, Answer, NoAnswer, Refuse, ToolCall

pytest_plugins = ["tests.provider_fixtures"]


# ---- a whole answer


async def test_words_reach_the_sink_in_order_and_the_whole_answer_the_runner(fake, asker):
    fake.script(Answer("Good ", "morning, ", "Ana."))
    one = asker()
    response = await one.ask()
    assert one.text == message(response) == "Good morning, Ana."
    assert response.usage.requests == 1
    assert (response.usage.input_tokens, response.usage.output_tokens) == (USAGE[0], USAGE[2])
    assert response.usage.input_tokens_details.cached_tokens == USAGE[1]


async def test_a_stream_is_one_completed_event_with_the_same_answer(fake, asker):
    fake.script(Answer("Good ", "morning."))
    one = asker()
    (event,) = await one.stream()
    assert isinstance(event, ResponseCompletedEvent)
    assert one.text == event.response.output[0].content[0].text == "Good morning."
    assert (event.response.usage.input_tokens, event.response.usage.output_tokens) == (USAGE[0], USAGE[2])


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("slices", [None, 1, 7])
async def test_line_endings_and_torn_reads_change_nothing(fake, asker, newline, slices):
    words = ("Grüße, ", "مرحبا ", "👩‍👩‍👧 ", "data: \\n\u2028 done")
    fake.script(Answer(*words, newline=newline, slices=slices, keepalives=1))
    one = asker()
    response = await one.ask()
    assert one.text == message(response) == "".join(words)


async def test_a_refusal_is_said_like_any_other_words(fake, asker):
    fake.script(Answer("I can't ", "help with that.", refusal=True))
    one = asker()
    response = await one.ask()
    assert one.text == message(response) == "I can't help with that."


async def test_tool_calls_come_whole_and_in_order(fake, asker):
    first, second = ToolCall("lookup", '{"q": "Zürich"}'), ToolCall("charge", '{"cents": 100}')
    fake.script(Answer("One moment.", first, second))
    response = await asker().ask()
    assert [(c.name, c.arguments, c.call_id) for c in calls(response)] == [
        ("lookup", '{"q": "Zürich"}', first.id),
        ("charge", '{"cents": 100}', second.id),
    ]
    assert message(response) == "One moment."


async def test_fifty_parallel_calls_are_fifty_calls(fake, asker):
    asked = [ToolCall("lookup", json.dumps({"n": n})) for n in range(50)]
    fake.script(Answer(*asked))
    response = await asker().ask()
    assert [json.loads(c.arguments)["n"] for c in calls(response)] == list(range(50))
    assert len({c.call_id for c in calls(response)}) == 50


async def test_malformed_arguments_are_passed_on_as_they_are(fake, asker):
    fake.script(Answer(ToolCall("lookup", '{"q": nonsense')))
    response = await asker().ask()
    assert [c.arguments for c in calls(response)] == ['{"q": nonsense']


async def test_the_first_of_two_calls_with_one_id_counts(fake, asker):
    fake.script(Answer(ToolCall("charge", '{"cents": 1}', "call_a"), ToolCall("charge", '{"cents": 2}', "call_a")))
    response = await asker().ask()
    assert [(c.call_id, c.arguments) for c in calls(response)] == [("call_a", '{"cents": 1}')]


async def test_ids_that_are_missing_or_used_before_are_made_anew(fake, asker):
    history = [
        {"role": "user", "content": "Hi"},
        {"type": "function_call", "call_id": "call_0", "name": "lookup", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_0", "output": "ok"},
    ]
    fake.script(
        Answer(ToolCall("a", id="call_0"), ToolCall("b", id=None), ToolCall("c", id=None), ToolCall("d", id="new"))
    )
    made = calls(await asker().ask(history))
    assert [c.name for c in made] == ["a", "b", "c", "d"]
    assert made[3].call_id == "new"
    assert len({c.call_id for c in made} | {"call_0", ""}) == 6


async def test_five_megabytes_of_arguments_are_cut_to_what_the_gateway_refuses(fake, asker):
    fake.script(Answer(ToolCall("lookup", json.dumps({"q": "x" * 5_000_000}))))
    (call,) = calls(await asker().ask())
    assert len(call.arguments) == ARGUMENT_CHARACTERS
    with pytest.raises(json.JSONDecodeError):
        json.loads(call.arguments)


async def test_an_empty_answer_is_an_empty_message(fake, asker):
    fake.script(Answer())
    one = asker()
    assert message(await one.ask()) == ""
    assert one.said == []


async def test_a_server_that_keeps_the_stream_open_after_its_answer_holds_nobody_up(fake, asker):
    fake.script(Answer("Done.", ending="lingering"))
    assert message(await asker(idle_timeout=30, total_timeout=30).ask()) == "Done."


async def test_one_connection_serves_one_answer_after_the_other(fake, asker):
    fake.forever(Answer("a", "b"))
    one = asker()
    for _ in range(5):
        await one.ask()
    assert len(fake.connections) == 1


async def test_the_words_of_a_server_that_does_not_stream_are_said_at_the_end(fake, client):
    fake.script(Answer("All ", "at once.", streamed=False))
    one = Asker(client(), "responses")
    assert message(await one.ask()) == one.text == "All at once."


# ---- an answer that is not whole is never taken for one


@pytest.mark.parametrize(
    ("ending", "error", "leaves"),
    [
        ("cut", AnswerCut, "interrupted"),
        ("reset", AnswerCut, "interrupted"),
        ("failed", AnswerCut, "interrupted"),
        ("garbage", AnswerCut, "interrupted"),
        ("unusual", AnswerCut, "interrupted"),
        ("length", AnswerTruncated, "truncated"),
        ("content_filter", AnswerFiltered, "filtered"),
    ],
)
@pytest.mark.parametrize("how", ["ask", "stream"])
async def test_an_answer_that_ends_early_is_an_error_and_its_words_are_kept(fake, asker, ending, error, leaves, how):
    fake.script(Answer("We are open ", "from nine", ending=ending))
    one = asker()
    with pytest.raises(error) as raised:
        await getattr(one, how)()
    assert type(raised.value) is error
    assert raised.value.leaves == leaves
    assert "We are open from nine".startswith(one.text)
    assert ending == "reset" or one.text == "We are open from nine"  # a reset may overtake the newest words
    assert len(fake.seen) == 1, "what has been said is never asked for again"


async def test_a_cut_after_any_number_of_words_is_seen(fake, asker):
    words = [f"word{n} " for n in range(12)]
    for cut in range(1, len(words)):
        fake.script(Answer(*words[:cut], ending="cut"))
        one = asker()
        with pytest.raises(AnswerCut):
            await one.ask()
        assert one.text == "".join(words[:cut])


async def test_a_cut_inside_a_tool_call_runs_no_tool_and_is_not_asked_again(fake, asker):
    fake.script(Answer(ToolCall("charge", '{"cents": 100}'), ending="cut"))
    with pytest.raises(AnswerCut):
        await asker().ask()
    assert len(fake.seen) == 1


@pytest.mark.parametrize("ending", ["silent", "trickle"])
async def test_an_answer_that_stalls_ends_after_the_idle_time(fake, asker, ending):
    fake.script(Answer("We are", ending=ending, pace=0.01))
    one = asker(idle_timeout=1)
    with pytest.raises(AnswerStalled):
        await one.ask()
    assert one.text == "We are"
    async with asyncio.timeout(20):
        await fake.hung_up.wait()


async def test_an_answer_without_end_stops_at_the_total_time(fake, asker):
    fake.script(Answer(*["on and "] * 2000, pace=0.01))
    one = asker(total_timeout=1.5)
    with pytest.raises(AnswerStalled):
        await one.ask()
    assert one.text.startswith("on and ")


async def test_signs_of_life_keep_a_thinking_model_waiting(fake, asker):
    fake.script(Answer("Done.", keepalives=34, pace=0.1))
    assert message(await asker(idle_timeout=3).ask()) == "Done."


async def test_silence_before_the_first_word_is_told_once_and_not_asked_again(fake, asker):
    fake.forever(NoAnswer())
    with pytest.raises(ModelUnavailable):
        await asker(idle_timeout=0.5).ask()
    assert len(fake.seen) == 1


async def test_a_page_in_place_of_a_stream_is_a_wrong_address(fake, asker):
    fake.script(Refuse(200, body="<html>Welcome to the hotel's Wi-Fi</html>"))
    with pytest.raises(ModelMisconfigured, match="address"):
        await asker().ask()


# ---- leaving


async def test_a_cancelled_turn_closes_the_providers_connection(fake, asker):
    fake.script(Answer("We are", ending="silent"))
    one = asker()
    turn = asyncio.create_task(one.ask())
    async with asyncio.timeout(20):
        await one.heard.wait()
        turn.cancel()
        await asyncio.wait([turn])
        await fake.hung_up.wait()
    assert turn.cancelled()


async def test_a_cancelled_stream_closes_the_providers_connection(fake, asker):
    fake.script(Answer("We are", ending="silent"))
    one = asker()
    turn = asyncio.create_task(one.stream())
    async with asyncio.timeout(20):
        await one.heard.wait()
        turn.cancel()
        await asyncio.wait([turn])
        await fake.hung_up.wait()


async def test_what_the_sink_raises_is_not_taken_for_the_providers_fault(fake, client, api):
    def broken_sink(_text: str) -> None:
        raise ZeroDivisionError

    fake.forever(Answer("Hello."))
    one = Asker(client(), api)
    one.model = OpenAIModel(client(), "gpt-fake", api=api, on_text=broken_sink)
    with pytest.raises(ZeroDivisionError):
        await one.ask()
    assert len(fake.seen) == 1


# ---- with the real Runner


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_sdks_runner_calls_a_tool_hands_over_and_answers(fake, client, api, streamed):
    found: list[str] = []

    @function_tool
    async def lookup(q: str) -> str:
        found.append(q)
        return "on its way"

    one = Asker(client(), api)
    expert = Agent(name="expert", model=one.model, tools=[lookup])
    lead = Agent(name="lead", model=one.model, handoffs=[expert])
    fake.script(
        Answer(ToolCall("transfer_to_expert")),
        Answer(ToolCall("lookup", '{"q": "parcel"}'), ToolCall("lookup", '{"q": "letter"}')),
        Answer("Both are ", "on their way."),
    )
    config = RunConfig(tracing_disabled=True)
    async with asyncio.timeout(10):
        if streamed:
            result = Runner.run_streamed(lead, "Where is my parcel?", run_config=config)
            async for _ in result.stream_events():
                pass
        else:
            result = await Runner.run(lead, "Where is my parcel?", run_config=config)
    assert result.final_output == one.text == "Both are on their way."
    assert sorted(found) == ["letter", "parcel"]
    assert result.last_agent.name == "expert"
    assert result.context_wrapper.usage.requests == 3
    assert result.context_wrapper.usage.input_tokens == 3 * USAGE[0]
    assert "on its way" in json.dumps(fake.seen[-1].body)


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_runner_lets_our_errors_through_and_does_not_ask_again(fake, client, api, streamed):
    fake.forever(Answer("We are", ending="cut"))
    one = Asker(client(), api)
    agent = Agent(name="lead", model=one.model)
    with pytest.raises(AnswerCut):
        if streamed:
            result = Runner.run_streamed(agent, "Hi", run_config=RunConfig(tracing_disabled=True))
            async for _ in result.stream_events():
                pass
        else:
            await Runner.run(agent, "Hi", run_config=RunConfig(tracing_disabled=True))
    assert one.text == "We are"
    assert len(fake.seen) == 1


async def test_the_runners_own_retries_add_nothing_to_ours(fake, client, api):
    """One layer: three calls in all, whatever the Runner was told."""
    fake.forever(Refuse(503))
    eager = ModelRetrySettings(max_retries=5, policy=retry_policies.any(retry_policies.provider_suggested(), always))
    agent = Agent(name="lead", model=Asker(client(), api).model, model_settings=ModelSettings(retry=eager))
    with pytest.raises(ModelUnavailable):
        await Runner.run(agent, "Hi", run_config=RunConfig(tracing_disabled=True))
    assert len(fake.seen) == 3


def always(_context: Any) -> bool:
    return True
