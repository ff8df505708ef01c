"""What a model may write in place of a call's arguments: it is told in words what is wrong, and the turn goes on."""

from __future__ import annotations

import pytest

from agent_core.door import ClientTool
from agent_core.events import InterruptOpened, MessageFinished, ToolFinished, TurnFinished, TurnWaiting
from agent_core.readable import LEVELS, UNREADABLE, readable
from tests.conftest import ANA
from tests.scripted import Call

DEEP = '{"a":' * 3000 + "1" + "}" * 3000
ODD = {
    "half a character": '{"amount": "\\ud83d"}',
    "not a number": '{"amount": NaN}',
    "beyond all": '{"amount": Infinity}',
    "too large": '{"amount": 1e400}',
    "too long": '{"amount": ' + "9" * 5000 + "}",
    "too deep": DEEP,
    "no JSON": "{",
    "a list": "[]",
    "nothing": "null",
    "empty": "",
    "raw half": '{"amount": "\ud83d"}',
}


@pytest.mark.parametrize("tool", ["lock", "charge", "displayForm", "transfer_to_expert", "nobodys"])
@pytest.mark.parametrize("arguments", ODD.values(), ids=ODD)
async def test_odd_arguments_are_answered_in_words_and_the_turn_goes_on(core, watching, shop, tool, arguments):
    async with core([Call(tool, arguments)], "I see.", "Indeed.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        assert (await watch.event(TurnFinished)).status == "done"
        assert not any(isinstance(event, InterruptOpened) for event in watch.events)
        assert not shop.effects
        assert [e.text for e in watch.events if isinstance(e, MessageFinished)] == ["I see."]
        outcomes = {e.status for e in watch.events if isinstance(e, ToolFinished)}
        assert outcomes <= {"error"}


PAINT = ClientTool("paint", "Paints.", {"type": "object"})
MENDED = {"half a character": '{"amount":"\ufffd"}', "raw half": '{"amount":"\ufffd"}', "empty": "{}"}
LOST = [arguments for name, arguments in ODD.items() if name not in MENDED] + ['{"a": "' + "x" * 70_000 + '"}']


@pytest.mark.parametrize("arguments", LOST, ids=[*(name for name in ODD if name not in MENDED), "70 KB"])
async def test_a_clients_tool_is_not_called_with_what_can_not_be_read(core, watching, arguments):
    async with core([Call("paint", arguments)], [Call("paint", {"with": "blue"})], "Painted.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1", client_tools=[PAINT])
        watch = watching(door, ANA, conversation)
        await watch.event(TurnWaiting)
        refused, asked = [item for item in (await door.snapshot(ANA, conversation))["items"] if item["kind"] == "tool"]
        assert (refused["status"], asked["arguments"]) == ("error", '{"with":"blue"}')
        assert "arguments" in door.turns._shop.models.seen[-1][-1]["output"]  # what is wrong, in words
        await door.answer_call(ANA, conversation, asked["id"], "done")
        assert (await watch.event(TurnFinished)).status == "done"


@pytest.mark.parametrize("name", MENDED)
async def test_a_clients_tool_gets_plain_json_of_what_can_be_mended(core, watching, name):
    async with core([Call("paint", ODD[name])], "Painted.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1", client_tools=[PAINT])
        watch = watching(door, ANA, conversation)
        await watch.event(TurnWaiting)
        (call,) = [item for item in (await door.snapshot(ANA, conversation))["items"] if item["kind"] == "tool"]
        assert call["arguments"] == MENDED[name]
        await door.answer_call(ANA, conversation, call["id"], "done")
        assert (await watch.event(TurnFinished)).status == "done"


async def test_wrong_arguments_beside_a_question_leave_the_question(core, watching, shop):
    async with core([Call("lock", "{"), Call("lock", {"card": "A-1"})], "Locked.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        await watch.event(TurnWaiting)
        (asked,) = [event for event in watch.events if isinstance(event, InterruptOpened)]
        await door.decide(ANA, conversation, asked.interrupt, "approve")
        assert (await watch.event(TurnFinished)).status == "done"
        outcomes = [event.status for event in watch.events if isinstance(event, ToolFinished)]
        assert (outcomes, shop.count("lock")) == (["error", "ok"], 1)


async def test_a_model_that_never_writes_a_call_that_can_be_read_is_stopped(core, watching, shop):
    steps = [[Call("lock", "{")]] * 9
    async with core(*steps, max_steps=3) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        ended = await watching(door, ANA, conversation).event(TurnFinished)
        assert (ended.status, ended.code) == ("failed", "too_many_steps")


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('{"a":  1}', '{"a":  1}'),
        ('{"a": "Zürich"}', '{"a":"Zürich"}'),
        ('{"a": "\\u00fc\\ud83d\\ude00"}', '{"a":"ü😀"}'),
        ('{"a": "\\ud83d"}', '{"a":"\ufffd"}'),
        ("{", "{"),
        ("{\ud83d", "{\ufffd"),
        (nested(LEVELS), nested(LEVELS)),
        (nested(LEVELS + 1), UNREADABLE),
        (nested(100_000), UNREADABLE),
    ],
    ids=["plain", "letters", "escapes", "half", "no JSON", "no JSON, half", "as deep", "deeper", "far too deep"],
)
def test_what_is_well_stays_and_what_is_not_becomes_readable(written: str, read: str) -> None:
    assert readable(written) == read
