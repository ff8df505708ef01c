"""The analyst beside the lead: covered and open topics in the shared state, never in the way of a reply."""

from __future__ import annotations

import asyncio

import pytest

from agent_core.errors import ModelUnavailable
from agent_core.events import StateChanged, TurnFinished, UsageCounted
from tests.conftest import ANA
from tests.scripted import Fail, Hold, ScriptedModels

TOPICS = """
analyst:
  instructions: Say which topics have been dealt with.
  topics: [greeting, price, contract]
"""


class Beside(ScriptedModels):
    """The lead follows one script, the analyst another; they are told apart by their instructions."""

    def __init__(self, lead, analyst):
        super().__init__(*lead)
        self.analyst = ScriptedModels(*analyst)

    def model(self, name, on_text):
        lead, beside = super().model(name, on_text), self.analyst.model(name, on_text)

        class Either(type(lead)):
            async def get_response(self, system_instructions, *args, **kwargs):
                chosen = beside if "Topics:" in system_instructions else lead
                return await chosen.get_response(system_instructions, *args, **kwargs)

        return Either(self, on_text)


@pytest.fixture
def analysed(settings, core):
    settings.team_file.write_text(settings.team_file.read_text() + TOPICS)
    return lambda lead, analyst: core(models=Beside(lead, analyst))


async def test_topics_are_kept_in_the_shared_state(analysed, watching):
    async with analysed(["Hello!"], ['{"covered": ["price", "greeting", "weather"]}']) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Hi, what does it cost?", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        await watch.event(StateChanged)
        counted = await watch.event(UsageCounted)
        assert counted.by == "analyst"
        snapshot = await door.snapshot(ANA, conversation)
        assert snapshot["state"]["topics"] == {"covered": ["greeting", "price"], "open": ["contract"]}
        assert snapshot["usage"]["requests"] == 2


async def test_a_reply_does_not_wait_for_it(analysed, watching):
    hold = Hold()
    async with analysed(["One.", "Two."], [[hold, '{"covered": []}'], '{"covered": ["price"]}']) as door:
        conversation = await door.start(ANA)
        watch = watching(door, ANA, conversation)
        first = await door.say(ANA, conversation, "a", client_message_id="m1")
        await watch.event(TurnFinished, turn=first.turn)
        await asyncio.wait_for(hold.reached.wait(), 20)
        second = await door.say(ANA, conversation, "b", client_message_id="m2")
        await watch.event(TurnFinished, turn=second.turn)
        hold.go.set()
        await watch.until(
            lambda i: getattr(getattr(i, "event", None), "patch", [{}])[0].get("value", {}).get("covered") == ["price"]
        )


async def test_a_look_that_fails_does_not_take_the_one_after_it_away(analysed, watching):
    hold = Hold()
    steps = [[hold, Fail(ModelUnavailable())], '{"covered": ["price"]}']
    async with analysed(["One."], steps) as door:
        conversation = await door.start(ANA)
        watch = watching(door, ANA, conversation)
        await door.say(ANA, conversation, "a", client_message_id="m1")
        await asyncio.wait_for(hold.reached.wait(), 20)
        await door._analyst.look(conversation)  # as after the next turn: one at a time, so it waits
        hold.go.set()
        await watch.event(StateChanged)


async def test_when_it_fails_nobody_is_bothered(analysed, watching):
    async with analysed(["One.", "Two."], [[Fail(ModelUnavailable())], "no json at all"]) as door:
        conversation = await door.start(ANA)
        watch = watching(door, ANA, conversation)
        for n in (1, 2):
            receipt = await door.say(ANA, conversation, "a", client_message_id=f"m{n}")
            assert (await watch.event(TurnFinished, turn=receipt.turn)).status == "done"
        assert (await door.snapshot(ANA, conversation))["state"] == {}
