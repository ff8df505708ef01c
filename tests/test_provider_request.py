"""What a provider is asked: settings, tools, the past, and what is refused before it is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from agents import Agent, AgentOutputSchema, FunctionTool, ModelSettings, WebSearchTool, handoff
from agents.exceptions import UserError
from agents.tool_context import ToolContext
from hypothesis import given
from hypothesis import strategies as st
from openai.types.shared import Reasoning
from pydantic import BaseModel

from agent_core.provider_request import chat_messages, encode
from tests.asker import Asker
from tests.fake_openai import Answer, FakeOpenAI

pytest_plugins = ["tests.provider_fixtures"]


async def nothing(_context: ToolContext[Any], _arguments: str) -> str:
    return "found"


def tool(name: str = "lookup", *, strict: bool = True) -> FunctionTool:
    schema = {
        "type": "object",
        "properties": {"q": {"type": "string"}},
        "required": ["q"],
        "additionalProperties": False,
    }
    return FunctionTool(name, "Looks it up.", schema, nothing, strict_json_schema=strict)


class Weather(BaseModel):
    degrees: int


async def asked(fake: FakeOpenAI, one: Asker, *args: Any, **given: Any) -> dict[str, Any]:
    fake.script(Answer("ok"))
    await one.ask(*args, **given)
    return fake.seen[-1].body


async def test_settings_are_honoured(fake, asker, api):
    settings = ModelSettings(
        temperature=0.3,
        top_p=0.9,
        max_tokens=500,
        tool_choice="lookup",
        parallel_tool_calls=False,
        reasoning=Reasoning(effort="low"),
        verbosity="low",
        metadata={"tenant": "t1"},
        store=True,
        extra_body={"seed": 7},
        extra_args={"service_tier": "flex"},
        extra_headers={"X-Trace": "abc"},
        extra_query={"api-version": "2"},
    )
    body = await asked(fake, asker(), settings=settings, tools=[tool()])
    both = {"model": "gpt-fake", "stream": True, "temperature": 0.3, "top_p": 0.9, "parallel_tool_calls": False}
    both |= {"metadata": {"tenant": "t1"}, "store": True, "seed": 7, "service_tier": "flex"}
    assert both.items() <= body.items()
    if api == "responses":
        assert body["max_output_tokens"] == 500
        assert body["reasoning"] == {"effort": "low"}
        assert body["text"] == {"verbosity": "low"}
        assert body["tool_choice"] == {"type": "function", "name": "lookup"}
    else:
        assert body["max_tokens"] == 500
        assert (body["reasoning_effort"], body["verbosity"]) == ("low", "low")
        assert body["tool_choice"] == {"type": "function", "function": {"name": "lookup"}}
        assert body["stream_options"] == {"include_usage": True}
    assert fake.seen[-1].headers["X-Trace"] == "abc"
    assert fake.seen[-1].query["api-version"] == "2"


async def test_nothing_is_stored_at_the_provider_and_nothing_unset_is_sent(fake, asker, api):
    body = await asked(fake, asker(), instructions=None, settings=ModelSettings(tool_choice="required"))
    if api == "responses":
        items = [{"role": "user", "content": "Hi"}]
        assert body == {"model": "gpt-fake", "input": items, "stream": True, "store": False}
    else:
        assert set(body) == {"model", "messages", "stream", "stream_options"}


async def test_tools_handoffs_and_the_form_of_the_answer_are_sent(fake, asker, api):
    expert = handoff(Agent(name="expert"), tool_description_override="Knows more.")
    given = {"tools": [tool(), tool("free", strict=False)], "handoffs": [expert], "schema": AgentOutputSchema(Weather)}
    body = await asked(fake, asker(), **given)
    functions = body["tools"] if api == "responses" else [t["function"] for t in body["tools"]]
    assert [f["name"] for f in functions] == ["lookup", "free", "transfer_to_expert"]
    assert [bool(f.get("strict")) for f in functions] == [True, False, True]
    assert functions[0]["parameters"]["required"] == ["q"]
    assert functions[2]["description"] == "Knows more."
    form = body["text"]["format"] if api == "responses" else body["response_format"]["json_schema"]
    assert form["name"] == "final_output"
    assert form["schema"]["properties"]["degrees"]["type"] == "integer"


@pytest.mark.parametrize(
    "given",
    [
        {"tools": [WebSearchTool()]},
        {"prompt": {"id": "pmpt_1"}},
        {"previous_response_id": "resp_1"},
        {"conversation_id": "conv_1"},
        {"settings": ModelSettings(context_management=[{"type": "compaction", "compact_threshold": 9}])},
        {"tools": [tool()], "settings": ModelSettings(tool_choice={"server_label": "x", "name": "y"})},  # type: ignore[arg-type]
    ],
    ids=["hosted tool", "stored prompt", "stored response", "stored conversation", "compaction", "hosted choice"],
)
async def test_what_only_one_provider_hosts_is_refused_clearly(fake, asker, given):
    with pytest.raises(UserError):
        await asker().ask(**given)
    assert fake.seen == []


HISTORY: list[dict[str, Any]] = [
    {"role": "user", "content": "Where is it?"},
    {"type": "reasoning", "id": "rs_1", "summary": []},
    {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "sealed"},
    {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "lookup", "arguments": '{"q": "it"}'},
    {"type": "function_call", "call_id": "c2", "name": "lookup", "arguments": ""},
    {"type": "function_call_output", "call_id": "c1", "output": "here"},
    {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "there"}]},
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [
            {"type": "output_text", "text": "Here ", "annotations": []},
            {"type": "refusal", "refusal": "or no."},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "And this?"},
            {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
        ],
    },
]


async def test_the_history_goes_to_responses_without_the_ids_of_a_store_that_keeps_nothing(fake, client):
    body = await asked(fake, Asker(client(), "responses"), HISTORY)
    sent = body["input"]
    assert sent[0] == HISTORY[0]
    assert sent[1] == HISTORY[2], "sealed thoughts go back, open ones stay here"
    assert sent[2] == {key: value for key, value in HISTORY[3].items() if key != "id"}
    assert "id" not in sent[-2]
    assert sent[-1] == HISTORY[-1]


async def test_thoughts_are_asked_for_sealed_when_the_model_reasons(fake, client):
    one = Asker(client(), "responses")
    reasoning = await asked(fake, one, settings=ModelSettings(reasoning=Reasoning(effort="low")))
    assert reasoning["include"] == ["reasoning.encrypted_content"]
    plain = await asked(fake, one, settings=ModelSettings(reasoning=Reasoning(effort="none")))
    assert "include" not in plain


def test_the_history_becomes_messages():
    assert chat_messages("You help.", HISTORY) == [
        {"role": "system", "content": "You help."},
        {"role": "user", "content": "Where is it?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": '{"q": "it"}'}},
                {"id": "c2", "type": "function", "function": {"name": "lookup", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "here"},
        {"role": "tool", "tool_call_id": "c2", "content": "there"},
        {"role": "assistant", "content": "Here or no."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "And this?"},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
            ],
        },
    ]


def test_what_chat_completions_cannot_say_is_refused():
    with pytest.raises(UserError, match="computer_call"):
        chat_messages(None, [{"type": "computer_call"}])
    with pytest.raises(UserError, match="input_file"):
        chat_messages(None, [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.text(), values))
def test_a_body_arrives_as_it_was_meant(body):
    assert json.loads(encode(body)) == body


def test_half_a_character_is_sent_as_json_writes_it_and_an_option_that_is_not_set_is_left_out():
    sent = json.loads(encode({"content": None, "half": "\ud800", "reasoning": Reasoning(effort="low")}))
    assert sent == {"content": None, "half": "\ud800", "reasoning": {"effort": "low"}}
    assert json.loads(encode({"reasoning": Reasoning(effort="low")})) == {"reasoning": {"effort": "low"}}


def test_what_no_provider_could_read_is_not_sent():
    with pytest.raises(TypeError):
        encode({"tool": object()})
