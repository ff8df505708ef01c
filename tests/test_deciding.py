"""Deliverables in a conversation: shown from the server's data, versioned, acknowledged, decided once."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa

from agent_core.errors import Conflict, Invalid, NotFound
from agent_core.events import (
    DeliverableAcknowledged,
    DeliverableDecided,
    DeliverableShown,
    ToolFinished,
    TurnFinished,
)
from agent_core.tables import deliverables
from tests.conftest import ANA, BOB, MAYA, each_database
from tests.scripted import Call

pytestmark = each_database

OPTIONS = [{"id": "a", "label": "Plan A"}, {"id": "b", "label": "Plan B"}]
CHOICES = Call("displayChoices", {"question": "Which plan?", "options": OPTIONS})


async def shown(door, watching):
    conversation = await door.start(ANA)
    await door.say(ANA, conversation, "Show me", client_message_id="m1")
    watch = watching(door, ANA, conversation)
    deliverable = await watch.event(DeliverableShown)
    await watch.event(TurnFinished, status="done")
    return conversation, watch, deliverable


async def test_it_is_shown_and_the_model_reads_a_summary(core, watching):
    async with core([CHOICES], "Please choose.") as door:
        conversation, watch, deliverable = await shown(door, watching)
        assert (deliverable.kind, deliverable.version) == ("displayChoices", 1)
        assert [o["id"] for o in deliverable.payload["options"]] == ["a", "b"]
        assert (await watch.event(ToolFinished)).status == "ok"
        assert "Which plan?" in door.turns._shop.models.seen[-1][-1]["output"]
        item = next(i for i in (await door.snapshot(ANA, conversation))["items"] if i["kind"] == "deliverable")
        assert (item["status"], item["acknowledged"]) == ("shown", False)


async def test_a_screen_acknowledges_it_once(core, watching):
    async with core([CHOICES], "Please choose.") as door:
        conversation, watch, deliverable = await shown(door, watching)
        for _ in range(3):
            await door.acknowledge(ANA, conversation, deliverable.deliverable, 1)
        await watch.event(DeliverableAcknowledged)
        history = [i.event for i in await door.history(ANA, conversation)]
        assert sum(isinstance(e, DeliverableAcknowledged) for e in history) == 1


async def test_a_decision_starts_a_turn_that_knows_of_it(core, watching):
    async with core([CHOICES], "Please choose.", "Plan B it is.") as door:
        conversation, watch, deliverable = await shown(door, watching)
        decision = await door.decide_deliverable(
            ANA, conversation, deliverable.deliverable, 1, "choose", {"chosen": ["b"]}
        )
        await watch.event(TurnFinished, turn=decision.turn)
        decided = await watch.event(DeliverableDecided)
        assert decided.answer == {"chosen": ["b"]}
        assert "Plan B" in door.turns._shop.models.seen[-1][-1]["content"]


async def test_a_decision_that_is_sent_again_names_the_turn_that_went_on_from_it(core, watching):
    async with core([CHOICES], "Please choose.", "Plan B it is.") as door:
        conversation, watch, deliverable = await shown(door, watching)
        choice = (ANA, conversation, deliverable.deliverable, 1, "choose", {"chosen": ["b"]})
        first = await door.decide_deliverable(*choice)
        await watch.event(TurnFinished, turn=first.turn)
        again = await door.decide_deliverable(*choice)
        assert (again.turn, again.replayed) == (first.turn, True)


async def test_what_has_expired_can_not_be_decided_any_more(core, watching):
    async with core([CHOICES], "Please choose.") as door:
        conversation, _watch, deliverable = await shown(door, watching)
        over = sa.update(deliverables).values(expires_at=1)
        await door.turns._shop.database.write(lambda connection: connection.execute(over))
        with pytest.raises(Conflict) as refused:
            await door.decide_deliverable(ANA, conversation, deliverable.deliverable, 1, "none")
        assert "no longer valid" in refused.value.aloud


async def test_fifty_decisions_at_once_are_one(core, watching):
    async with core([CHOICES], "Please choose.", "Good.") as door:
        conversation, _watch, deliverable = await shown(door, watching)
        answers = [{"chosen": ["a"]}, {"chosen": ["b"]}] * 25
        outcomes = await asyncio.gather(
            *(
                door.decide_deliverable(ANA, conversation, deliverable.deliverable, 1, "choose", answer)
                for answer in answers
            ),
            return_exceptions=True,
        )
        assert sum(not isinstance(o, Exception) and not o.replayed for o in outcomes) == 1
        assert sum(isinstance(o, Conflict) for o in outcomes) == 25


async def test_what_is_not_on_offer_can_not_be_chosen(core, watching):
    async with core([CHOICES], "Please choose.") as door:
        conversation, _watch, deliverable = await shown(door, watching)
        for decision, answer in (("choose", {"chosen": ["z"]}), ("choose", None), ("buy", None)):
            with pytest.raises(Invalid):
                await door.decide_deliverable(ANA, conversation, deliverable.deliverable, 1, decision, answer)
        for who, error in ((BOB, NotFound), (MAYA, Conflict)):
            with pytest.raises(error):
                await door.decide_deliverable(who, conversation, deliverable.deliverable, 1, "none")


async def test_a_newer_version_supersedes_the_one_before(core, watching):
    again = Call("displayChoices", {"question": "Which plan?", "options": OPTIONS[::-1]})
    async with core([CHOICES], [again], "Please choose.", "All right.") as door:
        conversation, watch, first = await shown(door, watching)
        second = await watch.event(DeliverableShown, version=2)
        assert second.deliverable == first.deliverable
        with pytest.raises(Conflict) as refused:
            await door.decide_deliverable(ANA, conversation, first.deliverable, 1, "choose", {"chosen": ["a"]})
        assert "newer version" in refused.value.aloud
        decision = await door.decide_deliverable(ANA, conversation, first.deliverable, 2, "choose", {"chosen": ["a"]})
        await watch.event(TurnFinished, turn=decision.turn)


async def test_a_decision_while_a_person_holds_the_floor_starts_no_turn(core, watching):
    async with core([CHOICES], "Please choose.") as door:
        conversation, watch, deliverable = await shown(door, watching)
        await door.take_floor(MAYA, conversation)
        decision = await door.decide_deliverable(ANA, conversation, deliverable.deliverable, 1, "none")
        assert decision.turn is None
        await watch.event(DeliverableDecided)


async def test_wrong_arguments_are_told_to_the_model_and_nothing_is_shown(core, watching):
    async with core([Call("displayChoices", {"question": "?", "options": OPTIONS[:1]})], "Hm.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Show me", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        await watch.event(TurnFinished, status="done")
        assert (await watch.event(ToolFinished)).status == "error"
        assert not any(isinstance(e, DeliverableShown) for e in watch.events)


async def test_an_offer_that_does_not_add_up_is_not_shown(core, watching):
    async with core([Call("displayOffer", {"offer_id": "OF-1"})], "There is a mistake in it.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Offer?", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        await watch.event(TurnFinished, status="done")
        assert (await watch.event(ToolFinished)).status == "error"
        assert not any(isinstance(e, DeliverableShown) for e in watch.events)
