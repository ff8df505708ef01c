"""What servers write that speak a dialect of OpenAI's APIs: no whole answer is lost over a trifle, and nonsense is a
fault of theirs, which keeps the words that were said.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from agent_core.errors import AnswerCut, AnswerTruncated, ModelMisconfigured, ModelUnavailable
from agent_core.events import MessageFinished, TurnFinished
from agent_core.openai_model import OpenAIModel
from agent_core.provider_faults import retry_after
from tests.asker import Asker, calls, message
from tests.conftest import ANA
from tests.fake_openai import Raw

pytest_plugins = ["tests.provider_fixtures"]

SAID = "We are open."
MESSAGE = {"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": SAID}]}


def responses(*items: Any, usage: Any = None, delta: Any = SAID, **more: Any) -> Raw:
    """Some words, then the end with these items."""
    end = {"id": "resp_1", "status": "completed", "output": list(items), "usage": usage, **more}
    events = [
        {"type": "response.output_text.delta", "delta": delta, "output_index": 0},
        {"type": "response.completed", "response": end},
    ]
    return Raw(b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events))


def chat(*deltas: Any, finish: str = "stop", **last: Any) -> Raw:
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks += [{"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}, {"choices": [], **last}]
    return Raw(b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks) + b"data: [DONE]\n\n")


def call(**changed: Any) -> dict[str, Any]:
    return {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "lookup", "arguments": "{}"} | changed


# ---- a trifle

COUNTS = {
    "words": {"input_tokens": "12", "prompt_tokens": "12"},
    "not a number": {"input_tokens": float("nan"), "prompt_tokens": float("nan")},
    "below nothing": {"input_tokens": -1, "prompt_tokens": -1},
    "a list": [12],
    "details of another form": {"input_tokens_details": ["none"], "prompt_tokens_details": "none"},
    "a name": "none",
}


@pytest.mark.parametrize("api", ["responses", "chat"])
@pytest.mark.parametrize("counts", COUNTS.values(), ids=COUNTS)
async def test_token_counts_that_can_not_be_read_are_none_and_the_answer_is_whole(fake, client, api, counts):
    fake.script(responses(MESSAGE, usage=counts) if api == "responses" else chat({"content": SAID}, usage=counts))
    one = Asker(client(), api)
    response = await one.ask()
    assert (one.text, response.usage.input_tokens, response.usage.total_tokens) == (SAID, 0, 0)


TRIFLES = {
    "a new phase": {**MESSAGE, "phase": "musing"},
    "a phase that is a number": {**MESSAGE, "phase": 4},
    "a number for an id": {**MESSAGE, "id": 3},
    "thoughts without a summary": {"type": "reasoning", "id": "rs_1"},
    "thoughts without anything": {"type": "reasoning"},
    "thoughts with no summary": {"type": "reasoning", "id": "rs_1", "summary": None},
}


@pytest.mark.parametrize("item", TRIFLES.values(), ids=TRIFLES)
async def test_an_item_of_an_unknown_form_does_not_spoil_the_answer(fake, client, item):
    fake.script(responses(item, call()))
    one = Asker(client(), "responses")
    response = await one.ask()
    assert one.text == SAID
    assert [c.name for c in calls(response)] == ["lookup"]


@pytest.mark.parametrize(
    ("arguments", "read"), [(None, ""), ({"q": "x"}, '{"q": "x"}'), ("{", "{")], ids=["none", "an object", "half"]
)
async def test_arguments_are_text_whatever_they_came_as(fake, client, arguments, read):
    fake.script(responses(call(arguments=arguments)))
    assert [c.arguments for c in calls(await Asker(client(), "responses").ask())] == [read]


async def test_a_response_whose_id_is_no_text_has_none(fake, client):
    fake.script(responses(MESSAGE, id=5), chat({"content": SAID}, id={"a": 1}, usage={"prompt_tokens": 1}))
    assert (await Asker(client(), "responses").ask()).response_id is None
    assert (await Asker(client(), "chat").ask()).response_id is None


async def test_of_words_in_parts_those_that_are_thoughts_are_not_said(fake, client):
    thoughts = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    fake.script(chat({"content": [thoughts]}, {"content": [{"type": "text", "text": "We are "}]}, {"content": "open."}))
    one = Asker(client(), "chat")
    await one.ask()
    assert one.text == SAID


async def test_a_call_may_be_named_after_its_beginning(fake, client):
    begun = {"index": 0, "id": "call_1", "function": {"arguments": ""}}
    named = {"index": 0, "function": {"name": "lookup", "arguments": "{}"}}
    fake.script(chat({"tool_calls": [begun]}, {"tool_calls": [named]}, finish="tool_calls"))
    assert [(c.call_id, c.name) for c in calls(await Asker(client(), "chat").ask())] == [("call_1", "lookup")]


# ---- an answer in one piece, although a stream was asked for

KINDS = ["application/json", "text/event-stream", "text/plain", "application/octet-stream"]


def whole(api: str, *pieces: Any, finish: str = "stop", kind: str = "application/json", before: bytes = b"") -> Raw:
    """An answer in one piece: words, and calls by name."""
    words = "".join(p for p in pieces if isinstance(p, str))
    made = [p for p in pieces if isinstance(p, dict)]
    if api == "chat":
        told = [{"id": c["call_id"], "type": "function", "function": _head(c)} for c in made]
        message = {"role": "assistant", "content": words or None} | ({"tool_calls": told} if told else {})
        body = {"id": "c", "choices": [{"index": 0, "message": message, "finish_reason": finish}]}
        usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    else:
        items = [{**MESSAGE, "content": [{"type": "output_text", "text": words}]}] if words else []
        body = {"object": "response", "status": "completed", "error": None, "output": [*items, *made]}
        if finish != "stop":
            body |= {"status": "incomplete", "incomplete_details": {"reason": finish}}
        usage = {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12}
    return Raw(before + json.dumps(body | {"usage": usage}, indent=1).encode() + b"\n\n", kind)


def _head(made: dict[str, Any]) -> dict[str, Any]:
    return {"name": made["name"], "arguments": made["arguments"]}


@pytest.mark.parametrize("api", ["responses", "chat"])
@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_in_one_piece_is_said_and_its_calls_are_made(fake, client, api, kind):
    fake.script(whole(api, SAID, call(), kind=kind, before=b"\r\n  \n\n"))
    one = Asker(client(), api)
    response = await one.ask()
    assert (one.text, message(response), response.usage.total_tokens) == (SAID, SAID, 12)
    assert [(c.call_id, c.name, c.arguments) for c in calls(response)] == [("call_1", "lookup", "{}")]
    assert len(fake.seen) == 1


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_an_answer_in_one_piece_that_is_not_whole_is_not_taken_for_whole(fake, client, api):
    limit = "length" if api == "chat" else "max_output_tokens"
    fake.script(whole(api, SAID, finish=limit))
    one = Asker(client(), api)
    with pytest.raises(AnswerTruncated):
        await one.ask()
    assert one.text == SAID


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_half_of_an_answer_in_one_piece_is_asked_for_again(fake, client, api):
    fake.script(Raw(whole(api, SAID).body[:60], "application/json"), whole(api, SAID))
    one = Asker(client(), api)
    assert message(await one.ask()) == one.text == SAID


@pytest.mark.parametrize("body", [b'{"status": "ok"}', b'{"choices": []}', b"[]", b'{"choices": [{"index": 0}]}'])
@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_json_that_is_no_answer_comes_from_a_wrong_address(fake, client, api, body):
    fake.script(Raw(body, "application/json"))
    with pytest.raises(ModelMisconfigured, match="address"):
        await Asker(client(), api).ask()


async def test_a_stream_may_have_a_message_in_place_of_its_deltas(fake, client):
    chunks = [
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]} for text in SAID.split("a")
    ]
    chunks[1]["choices"][0]["message"]["content"] = "are open."
    chunks[1]["choices"][0]["finish_reason"] = "stop"
    fake.script(Raw(b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks) + b"data: [DONE]\n\n"))
    one = Asker(client(), "chat")
    assert message(await one.ask()) == one.text == SAID


async def test_a_message_that_repeats_the_deltas_is_not_said_twice(fake, client):
    told = {"content": SAID, "tool_calls": [{"id": "call_1", "function": _head(call(arguments='{"q": 1}'))}]}
    last = {"index": 0, "delta": {}, "message": told, "finish_reason": "tool_calls"}
    stream = chat({"content": SAID}, {"tool_calls": told["tool_calls"]}).body.split(b"\n\n")[:2]
    fake.script(Raw(b"\n\n".join([*stream, f"data: {json.dumps({'choices': [last]})}\n\n".encode()])))
    one = Asker(client(), "chat")
    response = await one.ask()
    assert (one.text, message(response)) == (SAID, SAID)
    assert [c.arguments for c in calls(response)] == ['{"q": 1}']


# ---- a failure, told with the status of a success

FAILURES = {
    "as openai writes it": {"error": {"message": "Overloaded.", "type": "server_error", "code": None}},
    "with a number": {"error": {"message": "Bad gateway.", "code": 502}},
    "in words": {"error": "Overloaded."},
    "as an object of that kind": {"object": "error", "message": "Overloaded.", "type": "ServerError", "code": 500},
    "too early": {"error": {"message": "Try again.", "code": 425}},
}


@pytest.mark.parametrize("api", ["responses", "chat"])
@pytest.mark.parametrize("form", ["a body", "an event", "a named event"])
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
async def test_a_failure_in_place_of_an_answer_is_asked_again_and_told_as_the_provider_tells_it(
    fake, client, api, form, failure
):
    told = json.dumps(failure).encode()
    name = b"event: error\n" if form == "a named event" else b""
    step = Raw(told, "application/json") if form == "a body" else Raw(name + b"data: " + told + b"\n\n")
    fake.script(step, whole(api, SAID), step, step, step)
    one = Asker(client(), api)
    assert message(await one.ask()) == SAID
    with pytest.raises(ModelUnavailable, match=r"the provider failed: .*(Overloaded|Bad gateway|Try again)"):
        await one.ask()


@pytest.mark.parametrize("api", ["responses", "chat"])
@pytest.mark.parametrize("form", ["a body", "an event"])
async def test_a_refusal_with_the_status_of_a_success_is_not_asked_again(fake, client, api, form):
    told = json.dumps({"error": {"message": "No such model.", "code": "model_not_found"}}).encode()
    fake.script(Raw(told, "application/json") if form == "a body" else Raw(b"data: " + told + b"\n\n"))
    with pytest.raises(ModelMisconfigured, match="No such model"):
        await Asker(client(), api).ask()
    assert len(fake.seen) == 1


# ---- nonsense

NONSENSE = {
    "a call without a name": responses(call(name=None)),
    "a number for a call's id": responses(call(call_id=7)),
    "a message without content": responses({**MESSAGE, "content": None}),
    "content that is no list": responses({**MESSAGE, "content": SAID}),
    "an item without a type": responses({"id": "x"}),
    "nothing for an item": responses(None),
    "no list of items": responses(output={"a": 1}),
}


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
async def test_an_answer_that_can_not_be_read_is_the_providers_fault(fake, client, answer):
    fake.script(answer)
    one = Asker(client(), "responses")
    with pytest.raises(AnswerCut):
        await one.ask()
    assert one.text == SAID


@pytest.mark.parametrize("delta", [None, 5, ["a"]])
async def test_words_that_are_none_are_the_providers_fault(fake, client, delta):
    fake.script(responses(MESSAGE, delta=delta))
    with pytest.raises(AnswerCut):
        await Asker(client(), "responses").ask()


async def test_a_number_for_the_name_of_a_call_is_the_providers_fault(fake, client):
    function = {"name": 4, "arguments": "{}"}
    fake.script(chat({"content": SAID}, {"tool_calls": [{"index": 0, "id": "c", "function": function}]}))
    with pytest.raises(AnswerCut):
        await Asker(client(), "chat").ask()


async def test_what_was_said_before_nonsense_stays_with_the_customer(fake, client, core, watching):
    fake.script(NONSENSE["a call without a name"])
    async with core(models=_Behind(client())) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "When?", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        ended = await watch.event(TurnFinished)
        assert (ended.status, ended.code) == ("interrupted", AnswerCut.code)
        assert (await watch.event(MessageFinished)).text == SAID


class _Behind:
    """Models of one provider."""

    label, demo = "fake", False

    def __init__(self, client: Any) -> None:
        self._client = client

    def model(self, _name: str | None, on_text: Any) -> OpenAIModel:
        return OpenAIModel(self._client, "gpt-fake", api="responses", on_text=on_text)

    def name(self, name: str | None) -> str:
        return name or "gpt-fake"

    async def check(self) -> str:
        return "fake"

    async def aclose(self) -> None: ...


@pytest.mark.parametrize(
    "header",
    ["-5", "nan", "1e5", "Mon, 01 Jan 99999999999 00:00:00 GMT", "Mon, 99 Jan 2026 00:00:00 GMT", "soon", "1, 2"],
)
def test_a_wait_that_can_not_be_read_is_none(header: str) -> None:
    assert retry_after(header, datetime.now(UTC)) is None
