"""Tools that the client runs itself: the turn pauses there, and its answer is their output."""

from __future__ import annotations

import json

import pytest

from agent_core import intake
from agent_core.door import ClientTool
from agent_core.errors import Conflict, Invalid, NotFound
from agent_core.events import ToolCalled, ToolFinished, TurnFinished, TurnWaiting
from tests.conftest import ANA, BOB, each_database, sqlite_only
from tests.scripted import Call

pytestmark = each_database


async def test_a_tool_of_the_client_pauses_the_turn_until_it_answers(core, watching):
    locate = ClientTool("locate", "Where the customer is", {"type": "object", "properties": {}})
    async with core([Call("locate", id="c1")], "You are in Oslo.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Where am I?", client_message_id="m1", client_tools=[locate])
        watch = watching(door, ANA, conversation)
        await watch.event(TurnWaiting)
        with pytest.raises(NotFound):
            await door.answer_call(BOB, conversation, "c1", "Rome")
        await door.answer_call(ANA, conversation, "c1", "Oslo")
        again = await door.answer_call(ANA, conversation, "c1", "Oslo")
        assert again.replayed
        with pytest.raises(Conflict):
            await door.answer_call(ANA, conversation, "c1", "Rome")
        assert (await watch.event(TurnFinished)).status == "done"
        assert door.turns._shop.models.seen[-1][-1]["output"] == "Oslo"


async def test_a_client_can_not_take_the_name_of_a_tool_of_the_business(core):
    async with core() as door:
        conversation = await door.start(ANA)
        with pytest.raises(Invalid) as refused:
            tool = ClientTool("charge", "mine", {"type": "object"})
            await door.say(ANA, conversation, "Hi", client_message_id="m1", client_tools=[tool])
        assert refused.value.field == "tools.0.name"


@pytest.mark.parametrize("name", ["", "two words", "l\u043eck", "x" * 65, "a\0b"])
async def test_a_tool_of_the_client_has_a_name_that_every_provider_takes(core, name):
    async with core() as door:
        conversation = await door.start(ANA)
        with pytest.raises(Invalid) as refused:
            tool = ClientTool(name, "mine", {"type": "object"})
            await door.say(ANA, conversation, "Hi", client_message_id="m1", client_tools=[tool])
        assert refused.value.field == "tools.0.name"


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "string"},
        {"type": 5},
        {"properties": []},
        {"type": "object", "required": "name"},
        {"$schema": ["odd"]},
        {"$schema": 7},
        {"$schema": "http://["},
    ],
)
async def test_a_tool_of_the_client_takes_what_a_schema_says(core, parameters):
    """Else the provider would refuse the turn, and the owner's settings would be blamed."""
    async with core() as door:
        conversation = await door.start(ANA)
        with pytest.raises(Invalid) as refused:
            tool = ClientTool("locate", "mine", parameters)
            await door.say(ANA, conversation, "Hi", client_message_id="m1", client_tools=[tool])
        assert refused.value.field == "tools.0.parameters"


@sqlite_only
def test_a_tool_of_the_client_that_takes_nothing_need_not_say_so():
    kept = json.loads(intake.client_tools([ClientTool("locate", "mine", {})], lambda _name: False) or "")
    assert kept[0]["parameters"] == {"type": "object", "properties": {}}


@sqlite_only
def test_a_tool_of_the_client_may_be_written_in_an_older_schema():
    pair = {"type": "array", "items": [{"type": "number"}, {"type": "number"}]}
    older = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {"place": pair}}
    assert intake.client_tools([ClientTool("locate", "mine", older)], lambda _name: False)


@sqlite_only
def test_what_a_client_sends_with_each_message_is_checked_once(monkeypatch):
    checked = []
    monkeypatch.setattr(intake, "_described", {})
    monkeypatch.setattr(intake, "KNOWN_SCHEMAS", 2)
    monkeypatch.setattr(intake, "_is_of_an_object", lambda whole: checked.append(whole) or True)
    place = {"type": "object", "properties": {"place": {"type": "string"}, "day": {"type": "string"}}}
    turned = {"properties": {"day": {"type": "string"}, "place": {"type": "string"}}}
    for parameters in (place, place, turned, {}, {"type": "object", "required": ["a"]}, {}):
        intake.client_tools([ClientTool("locate", "mine", parameters)], lambda _name: False)
    empty = {"type": "object", "properties": {}}
    assert checked == [place, empty, {**empty, "required": ["a"]}, empty]  # of more than two, none is remembered


@sqlite_only
@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", ["03", "04"])
def test_a_schema_that_takes_ages_to_check_is_refused(number):
    """The older ones want each value to be another than all the others."""
    slow = {"$schema": f"http://json-schema.org/draft-{number}/schema#", "enum": [{str(n): n} for n in range(6_000)]}
    tools = [ClientTool("fine", "mine", {}), ClientTool("locate", "mine", slow)]
    with pytest.raises(Invalid) as refused:
        intake.client_tools(tools, lambda _name: False)
    assert refused.value.field == "tools.1.parameters"


@pytest.mark.parametrize("odd", ["a\x00b", "a\ud83d"], ids=["NUL", "half a character"])
async def test_what_a_clients_tool_answers_fits_into_every_database(core, watching, odd):
    tool = ClientTool("paint", "Paints.", {"type": "object"})
    async with core([Call("paint")], "Painted.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Paint", client_message_id="m1", client_tools=[tool])
        watch = watching(door, ANA, conversation)
        await watch.event(TurnWaiting)
        call = (await watch.event(ToolCalled)).call
        for _ in range(2):  # sent again, it is the same answer
            await door.answer_call(ANA, conversation, call, odd)
        await watch.event(TurnFinished, status="done")
        assert (await watch.event(ToolFinished)).output == odd.replace(odd[1], "\ufffd")
