"""A yes counts once, for exactly the arguments that were shown, from the customer, in time."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest

from agent_core import approvals
from agent_core.errors import Conflict, Invalid, NotFound
from agent_core.events import (
    InterruptDecided,
    InterruptOpened,
    MessageFinished,
    ToolCalled,
    ToolFinished,
    TurnFinished,
    TurnResumed,
    TurnWaiting,
)
from tests.conftest import ANA, BOB, MAYA, each_database
from tests.scripted import Call, Hold

pytestmark = each_database

LOCK = Call("lock", {"card": "A-1"})


async def asked(door, watching, text="Lock my card"):
    """A conversation that waits for a yes; its watcher and the interrupt."""
    conversation = await door.start(ANA)
    await door.say(ANA, conversation, text, client_message_id="m1")
    watch = watching(door, ANA, conversation)
    await watch.event(TurnWaiting)
    return conversation, watch, await watch.event(InterruptOpened)


async def test_nothing_runs_before_the_yes_and_once_after_it(core, watching, shop):
    async with core(["One moment. ", LOCK], "It is locked.") as door:
        conversation, watch, interrupt = await asked(door, watching)
        assert shop.count("lock") == 0
        assert json.loads(interrupt.arguments) == {"card": "A-1"}
        assert interrupt.title == "Locking card A-1"
        assert (await door.snapshot(ANA, conversation))["open"] == [interrupt.interrupt]
        await door.decide(ANA, conversation, interrupt.interrupt, "approve")
        assert (await watch.event(TurnFinished)).status == "done"
        assert shop.count("lock") == 1
        kinds = [type(e) for e in watch.events]
        assert kinds.index(ToolCalled) < kinds.index(InterruptOpened) < kinds.index(InterruptDecided)
        assert kinds.index(TurnResumed) < kinds.index(ToolFinished)
        assert kinds.count(ToolCalled) == 1
        assert [e.text for e in watch.events if isinstance(e, MessageFinished)] == ["One moment. ", "It is locked."]


async def test_a_no_is_told_to_the_model(core, watching, shop):
    async with core([LOCK], "As you wish.") as door:
        conversation, watch, interrupt = await asked(door, watching)
        await door.decide(ANA, conversation, interrupt.interrupt, "reject")
        assert (await watch.event(TurnFinished)).status == "done"
        assert shop.count("lock") == 0
        assert (await watch.event(ToolFinished)).status == "refused"
        assert "said no" in door.turns._shop.models.seen[-1][-1]["output"]


async def test_fifty_decisions_at_once_are_one(core, watching, shop):
    async with core([LOCK], "Locked.") as door:
        conversation, watch, interrupt = await asked(door, watching)
        wishes = ["approve", "reject"] * 25
        outcomes = await asyncio.gather(
            *(door.decide(ANA, conversation, interrupt.interrupt, wish) for wish in wishes), return_exceptions=True
        )
        assert sum(not isinstance(o, Exception) and not o.replayed for o in outcomes) == 1
        assert sum(isinstance(o, Conflict) for o in outcomes) == 25
        await watch.event(TurnFinished)
        assert shop.count("lock") == (1 if not isinstance(outcomes[0], Exception) else 0)


async def test_the_customer_may_change_what_the_rule_lets_them_and_nothing_else(core, watching, shop):
    async with core([LOCK], "Locked.") as door:
        conversation, watch, interrupt = await asked(door, watching)
        with pytest.raises(Invalid) as refused:
            await door.decide(ANA, conversation, interrupt.interrupt, "approve", arguments={"card": "B-2"})
        assert refused.value.field == "arguments.card"
        with pytest.raises(Invalid):
            await door.decide(ANA, conversation, interrupt.interrupt, "approve", arguments={"card": "A-1", "note": 7})
        edited = {"card": "A-1", "note": "lost on the train"}
        await door.decide(ANA, conversation, interrupt.interrupt, "approve", arguments=edited)
        await watch.event(TurnFinished)
        assert [effect[1] for effect in shop.effects] == [edited]
        assert json.loads((await watch.event(InterruptDecided)).arguments) == edited


async def test_what_the_call_is_called_names_what_was_run(core, settings, watching):
    settings.team_file.write_text(settings.team_file.read_text().replace("card {card}", "card {card}: {note}"))
    async with core([Call("lock", {"card": "A-1", "note": "lost"})], "Locked.") as door:
        conversation, watch, interrupt = await asked(door, watching)
        assert interrupt.title == "Locking card A-1: lost"
        edited = {"card": "A-1", "note": "stolen"}
        await door.decide(ANA, conversation, interrupt.interrupt, "approve", arguments=edited)
        await watch.event(TurnFinished)
        items = (await door.snapshot(ANA, conversation))["items"]
        told = [(i["title"], json.loads(i["arguments"])) for i in items if i["kind"] in ("tool", "interrupt")]
        assert told == [("Locking card A-1: stolen", edited)] * 2


async def test_the_model_reads_what_was_run_and_not_what_it_had_asked_for(core, watching):
    async with core([LOCK], "Locked.", "It was lost on the train.") as door:
        conversation, watch, interrupt = await asked(door, watching)
        edited = {"card": "A-1", "note": "lost on the train"}
        await door.decide(ANA, conversation, interrupt.interrupt, "approve", arguments=edited)
        await watch.event(TurnFinished)
        second = await door.say(ANA, conversation, "Where did I lose it?", client_message_id="m2")
        await watch.event(TurnFinished, turn=second.turn)
        for seen in door.turns._shop.models.seen[1:]:
            assert [json.loads(i["arguments"]) for i in seen if i.get("type") == "function_call"] == [edited]


@pytest.mark.parametrize("given", [True, 1.0, 1])
def test_what_may_not_change_reaches_the_tool_as_it_was_shown(given):
    row = SimpleNamespace(arguments='{"card":"A-1","pieces":1}', editable='["note"]')
    edited = approvals._edited(row, {"card": "A-1", "pieces": given, "note": "lost"})
    assert edited == '{"card":"A-1","note":"lost","pieces":1}'


def test_an_edited_value_that_json_has_no_word_for_is_refused():
    row = SimpleNamespace(arguments="{}", editable='["amount"]')
    with pytest.raises(Invalid):
        approvals._edited(row, {"amount": float("nan")})


async def test_only_the_customer_decides(core, watching, shop):
    async with core([LOCK]) as door:
        conversation, _watch, interrupt = await asked(door, watching)
        with pytest.raises(NotFound):
            await door.decide(BOB, conversation, interrupt.interrupt, "approve")
        with pytest.raises(Conflict):
            await door.decide(MAYA, conversation, interrupt.interrupt, "approve")
        other = await door.start(ANA)
        with pytest.raises(NotFound):
            await door.decide(ANA, other, interrupt.interrupt, "approve")
        assert shop.count("lock") == 0


async def test_a_yes_that_comes_too_late_is_none(core, watching, shop):
    async with core([LOCK], "Too late, sorry.", approval_seconds=0.05) as door:
        conversation, watch, interrupt = await asked(door, watching)
        decided = await watch.event(InterruptDecided)
        assert decided.decision == "expired"
        with pytest.raises(Conflict):
            await door.decide(ANA, conversation, interrupt.interrupt, "approve")
        assert (await watch.event(TurnFinished)).status == "done"
        assert shop.count("lock") == 0


async def test_who_writes_on_instead_of_answering_withdraws_the_question(core, watching, shop):
    async with core([LOCK], "All right, something else then.") as door:
        conversation, watch, interrupt = await asked(door, watching)
        second = await door.say(ANA, conversation, "Never mind, what about my bill?", client_message_id="m2")
        await watch.event(TurnFinished, turn=second.turn)
        assert (await watch.event(InterruptDecided)).decision == "withdrawn"
        with pytest.raises(Conflict):
            await door.decide(ANA, conversation, interrupt.interrupt, "approve")
        assert shop.count("lock") == 0
        roles = [i.get("type", i.get("role")) for i in door.turns._shop.models.seen[-1]]
        assert roles == ["user", "function_call", "function_call_output", "user"]


async def test_who_writes_on_is_answered_in_the_order_of_writing(core, watching):
    hold = Hold()
    async with core([hold, LOCK], "About the bill.", "About the shop.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Lock my card", client_message_id="m1")
        await asyncio.wait_for(hold.reached.wait(), 10)
        second = await door.say(ANA, conversation, "And my bill?", client_message_id="m2")
        watch = watching(door, ANA, conversation)
        hold.go.set()
        await watch.event(TurnWaiting)
        third = await door.say(ANA, conversation, "Is the shop open?", client_message_id="m3")
        await watch.event(TurnFinished, turn=third.turn)
        said = [(e.turn, e.text) for e in watch.events if isinstance(e, MessageFinished)]
        assert said == [(second.turn, "About the bill."), (third.turn, "About the shop.")]


async def test_two_questions_of_one_answer_wait_for_both_decisions(core, watching, shop):
    calls = [Call("lookup", {"q": "x"}), LOCK, Call("lock", {"card": "B-2"})]
    async with core(calls, "Half done.") as door:
        conversation, watch, _first = await asked(door, watching)
        opened = [e for e in watch.events if isinstance(e, InterruptOpened)]
        assert len(opened) == 2
        await door.decide(ANA, conversation, opened[0].interrupt, "approve")
        assert (await door.snapshot(ANA, conversation))["turn"]["status"] == "waiting"
        assert shop.count("lock") == 0
        await door.decide(ANA, conversation, opened[1].interrupt, "reject")
        await watch.event(TurnFinished, status="done")
        assert [effect[1]["card"] for effect in shop.effects] == ["A-1"]


async def test_wrong_arguments_need_no_yes(core, watching, shop):
    async with core([Call("lock", {"card": 5})], "I see.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        await watch.event(TurnFinished, status="done")
        assert not any(isinstance(e, InterruptOpened) for e in watch.events)
        assert shop.count("lock") == 0


async def test_a_question_waits_over_a_restart(core, watching, shop):
    async with core([LOCK]) as door:
        conversation, _watch, interrupt = await asked(door, watching)
    async with core("Locked now.") as door:
        await door.decide(ANA, conversation, interrupt.interrupt, "approve")
        await watching(door, ANA, conversation).event(TurnFinished, status="done")
        assert shop.count("lock") == 1


async def test_stopping_withdraws_the_question(core, watching, shop):
    async with core([LOCK]) as door:
        conversation, watch, interrupt = await asked(door, watching)
        assert await door.stop(ANA, conversation)
        assert (await watch.event(TurnFinished)).status == "stopped"
        with pytest.raises(Conflict):
            await door.decide(ANA, conversation, interrupt.interrupt, "approve")
