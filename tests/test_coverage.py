"""A yes on a deliverable stands for one call of what it covers: not for a second, and not for another offer."""

from __future__ import annotations

from typing import Any

import pytest

from agent_core.events import DeliverableShown, InterruptOpened, ToolFinished, TurnFinished, TurnWaiting
from tests import shop as shop_module
from tests.conftest import ANA, each_database
from tests.scripted import Call
from tests.test_deliverables import STATED

pytestmark = each_database

SHOW = Call("displayOffer", {"offer_id": "OF-1"})
ORDER = Call("lock", {"card": "OF-1"})  # the shop's only deed that may be covered


@pytest.fixture
def covered(settings: Any) -> None:
    text = settings.team_file.read_text()
    settings.team_file.write_text(
        text.replace("lock: {approval: true,", "lock: {approval: true, covered_by: displayOffer, of: card,")
    )
    shop_module.OFFER.update(STATED | {"valid_until": 9 * 10**12})


async def show(door: Any, watching: Any, decision: str = "accept") -> tuple[str, Any]:
    """A conversation in which the offer was shown and decided upon."""
    conversation = await door.start(ANA)
    await door.say(ANA, conversation, "An offer, please", client_message_id="m1")
    watch = watching(door, ANA, conversation)
    offer = await watch.event(DeliverableShown)
    await watch.event(TurnFinished, status="done")
    await door.decide_deliverable(ANA, conversation, offer.deliverable, offer.version, decision)
    return conversation, watch


def over(turn: str) -> Any:
    return lambda item: isinstance(getattr(item, "event", None), TurnFinished | TurnWaiting) and item.event.turn == turn


async def test_an_accepted_offer_is_ordered_without_another_yes_and_once(core, watching, shop, covered):
    async with core([SHOW], "Here.", [ORDER], "Ordered.", [ORDER]) as door:
        conversation, watch = await show(door, watching)
        ordered = await watch.event(ToolFinished, output="locked OF-1")
        assert ordered.status == "ok"
        assert not any(isinstance(event, InterruptOpened) for event in watch.events)
        again = await door.say(ANA, conversation, "Order it again", client_message_id="m2")
        await watch.until(over(again.turn))
        assert (await watch.event(InterruptOpened)).tool == "lock"
        assert shop.count("lock") == 1


async def test_of_two_orders_in_one_breath_one_is_covered(core, watching, shop, covered):
    async with core([SHOW], "Here.", [ORDER, ORDER], "Ordered, once.") as door:
        _, watch = await show(door, watching)
        await watch.event(ToolFinished, output="locked OF-1")
        # Which of the two comes first to which look is chance; the other is asked about, or refused.
        await watch.until(lambda item: _is_not_covered(getattr(item, "event", None)))
        assert shop.count("lock") == 1


def _is_not_covered(event: Any) -> bool:
    return isinstance(event, InterruptOpened) or (isinstance(event, ToolFinished) and "not given" in event.output)


async def test_an_explicit_yes_spends_no_acceptance(core, watching, shop, covered):
    async with core([ORDER], "Done.", [SHOW], "Here.", [ORDER], "Ordered.") as door:
        conversation = await door.start(ANA)
        first = await door.say(ANA, conversation, "Order OF-1", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        asked = await watch.event(InterruptOpened)
        await door.decide(ANA, conversation, asked.interrupt, "approve")
        await watch.event(TurnFinished, turn=first.turn, status="done")
        await door.say(ANA, conversation, "Show it", client_message_id="m2")
        offer = await watch.event(DeliverableShown)
        decided = await door.decide_deliverable(ANA, conversation, offer.deliverable, 1, "accept")
        await watch.until(over(decided.turn))
        assert shop.count("lock") == 2
        assert sum(isinstance(event, InterruptOpened) for event in watch.events) == 1


@pytest.mark.parametrize(("decision", "card"), [("decline", "OF-1"), ("accept", "OF-2")])
async def test_what_was_declined_or_is_another_offer_needs_a_yes(core, watching, shop, covered, decision, card):
    async with core([SHOW], "Here.", [Call("lock", {"card": card})]) as door:
        _, watch = await show(door, watching, decision)
        assert (await watch.event(InterruptOpened)).tool == "lock"
        assert shop.count("lock") == 0
