"""Several server processes on one PostgreSQL: whoever serves a customer, it is one conversation.

Two cores in one process are two processes to the database: each has its own pool, listener, feeds and name.
"""

from __future__ import annotations

import asyncio
import signal
import time
from functools import partial

import pytest
import sqlalchemy as sa

from agent_core import approvals, leases, log
from agent_core import snapshot as s
from agent_core.door import ClientTool, Principal, Start
from agent_core.errors import NotFound
from agent_core.events import (
    ConversationStarted,
    CustomerIdentified,
    InterruptOpened,
    MessageAdded,
    MessageFinished,
    TextDelta,
    ToolCalled,
    TurnFinished,
    TurnResumed,
    TurnStarted,
    TurnWaiting,
)
from agent_core.tables import drafts
from app.remote import open_remote
from tests.conftest import ANA
from tests.scripted import Call, Hold
from tests.wire_process import wire_process

pytestmark = [pytest.mark.postgres, pytest.mark.parametrize("database", ["postgresql"], indirect=True)]

DEV = Principal("developer", "dev")
#: So long that nothing here can be the heartbeat's or the sweep's doing.
LONG_LEASE = 60


# ---- watching from elsewhere


async def test_both_processes_show_the_same_events_and_the_text_while_it_is_written(core, watching):
    hold = Hold()
    async with core([Call("lookup", {"q": "x"})], ["One ", hold, "two."]) as a, core() as b:
        conversation = await a.start(ANA)
        here, there = watching(a, ANA, conversation), watching(b, ANA, conversation)
        await a.say(ANA, conversation, "Hi", client_message_id="m1")
        await there.until(lambda item: isinstance(item, TextDelta) and "One" in item.text)
        hold.go.set()
        await here.event(TurnFinished)
        await there.event(TurnFinished)
        assert here.events == there.events
        fresh = await a.snapshot(ANA, conversation)
        assert await b.snapshot(ANA, conversation) == fresh
        assert s.fold_all(s.empty(conversation), here.seen) == fresh
        assert s.fold_all(s.empty(conversation), there.seen) == fresh


async def test_who_joins_elsewhere_in_the_middle_of_an_answer_reads_its_beginning(core, watching):
    hold = Hold()
    async with core(["The beginning. ", hold, "The end."]) as a, core() as b:
        conversation = await a.start(ANA)
        await a.say(ANA, conversation, "Hi", client_message_id="m1")
        await watching(b, ANA, conversation).until(lambda item: isinstance(item, TextDelta))
        late = watching(b, ANA, conversation)  # nothing more is written while the model thinks
        await late.until(lambda item: isinstance(item, TextDelta) and "beginning" in item.text)
        hold.go.set()
        await late.event(TurnFinished)
        assert late.text in ("The beginning. The end.", "The beginning. ")


async def test_a_message_sent_to_either_process_with_one_id_is_one_message(core, watching):
    async with core("Hello.") as a, core("Hello.") as b:
        conversation = await a.start(ANA)
        say = [door.say(ANA, conversation, "Hi", client_message_id="m1") for door in (a, b) for _ in range(25)]
        receipts = await asyncio.gather(*say)
        assert len({receipt.turn for receipt in receipts}) == 1
        assert sum(not receipt.replayed for receipt in receipts) == 1
        watch = watching(b, ANA, conversation)
        await watch.event(TurnFinished)
        assert sum(isinstance(event, MessageAdded) for event in watch.events) == 1


async def test_one_thread_started_on_both_at_once_is_one_conversation(core):
    async with core() as a, core() as b:
        starts = [door.start(ANA, Start(thread="t1")) for door in (a, b) for _ in range(5)]
        assert len(set(await asyncio.gather(*starts))) == 1


# ---- acting from elsewhere


async def test_a_stop_elsewhere_ends_the_turn_here_within_a_second(core, watching):
    hold = Hold()
    async with core(["Some words ", hold, "and more."], lease_seconds=LONG_LEASE) as a, core() as b:
        conversation = await a.start(ANA)
        here, there = watching(a, ANA, conversation), watching(b, ANA, conversation)
        await a.say(ANA, conversation, "Hi", client_message_id="m1")
        await there.until(lambda item: isinstance(item, TextDelta) and "words" in item.text)
        task = next(iter(a.turns._running.values()))[1]
        began = time.monotonic()
        assert await b.stop(ANA, conversation)
        await here.event(TurnFinished, status="stopped")
        await asyncio.wait([task], timeout=20)
        assert time.monotonic() - began < 15  # at once; the next heartbeat is twenty seconds away
        assert (await here.event(MessageFinished)).text.startswith("Some words")
        assert (await here.event(MessageFinished)).status == "stopped"
        assert await b.stop(ANA, conversation) is False
        assert isinstance(here.seen[-1].event, TurnFinished)
        assert here.events == there.events


async def test_what_was_queued_goes_on_where_the_stop_was_made(core, watching):
    hold = Hold()
    async with core([hold, "never"], lease_seconds=LONG_LEASE) as a, core("Second.") as b:
        conversation = await a.start(ANA)
        await a.say(ANA, conversation, "one", client_message_id="m1")
        second = await b.say(ANA, conversation, "two", client_message_id="m2")
        await asyncio.wait_for(hold.reached.wait(), 20)
        await b.stop(ANA, conversation)
        watch = watching(a, ANA, conversation)
        await watch.event(TurnFinished, turn=second.turn, status="done")
        assert (await watch.event(MessageFinished)).text == "Second."


async def test_what_was_asked_here_is_decided_there_and_run_once(core, watching, shop):
    async with core([Call("lock", {"card": "A"})]) as a, core("Locked.") as b:
        conversation = await a.start(ANA)
        here, there = watching(a, ANA, conversation), watching(b, ANA, conversation)
        await a.say(ANA, conversation, "Lock it", client_message_id="m1")
        interrupt = (await there.event(InterruptOpened)).interrupt
        await there.event(TurnWaiting)
        decisions = await asyncio.gather(
            *(door.decide(ANA, conversation, interrupt, "approve") for door in (b, b, b, b, b))
        )
        assert sum(not decision.replayed for decision in decisions) == 1
        await here.event(TurnFinished, status="done")
        await there.event(TurnFinished, status="done")
        assert shop.count("lock") == 1
        assert here.events == there.events


async def test_the_client_answers_its_own_tool_to_another_process(core, watching):
    color = ClientTool("pickColor", "Pick one.", {"type": "object", "properties": {}})
    async with core([Call("pickColor", {})]) as a, core("Blue it is.") as b:
        conversation = await a.start(ANA)
        await a.say(ANA, conversation, "Which?", client_message_id="m1", client_tools=[color])
        watch = watching(b, ANA, conversation)
        await watch.event(TurnWaiting)
        await b.answer_call(ANA, conversation, (await watch.event(ToolCalled)).call, "blue")
        await watching(a, ANA, conversation).event(TurnFinished, status="done")
        assert b.turns._shop.models.seen[0][-1]["output"] == "blue"


async def test_two_questions_of_a_turn_that_expire_in_two_processes_at_once_let_it_go_on(core, watching):
    async with core([Call("lock", {"card": "A"}), Call("lock", {"card": "B"})]) as a, core() as b:
        conversation = await a.start(ANA)
        await a.say(ANA, conversation, "Lock both", client_message_id="m1")
        watch = watching(a, ANA, conversation)
        waiting = await watch.event(TurnWaiting)
        shops = [door.turns._shop for door in (a, b)]
        outcomes = await asyncio.gather(
            *(
                shop.database.write(
                    partial(_and_a_pause, partial(approvals.expire, interrupt=interrupt, owner=shop.owner))
                )
                for shop, interrupt in zip(shops, waiting.interrupts, strict=True)
            )
        )
        assert sum(outcome.lease is not None for outcome in outcomes) == 1


async def test_a_stop_leaves_nothing_of_what_was_being_saved_at_that_moment(core):
    hold = Hold()
    async with core([hold, "x"], lease_seconds=LONG_LEASE) as a, core() as b:
        conversation = await a.start(ANA)
        await a.say(ANA, conversation, "Hi", client_message_id="m1")
        await asyncio.wait_for(hold.reached.wait(), 20)
        lease = next(iter(a.turns._running.values()))[0].lease
        piece = {"conversation": conversation, "offset": 0, "message": "msg_1", "turn": lease.turn, "agent": "lead"}
        save = partial(log.save_pieces, pieces=[piece | {"text": "late", "f": lease.fence, "seq": 3}])
        await asyncio.gather(a.turns._shop.database.write(partial(_and_a_pause, save)), b.stop(ANA, conversation))
        left = await b.turns._shop.database.read(lambda c: c.execute(sa.select(drafts)).all())
        assert left == []


def _and_a_pause(work, connection):
    """The commit comes so late that the other one is surely there."""
    outcome = work(connection)
    connection.execute(sa.text("SELECT pg_sleep(0.3)"))
    return outcome


# ---- when a process is gone, or seems to be


async def test_a_frozen_process_loses_its_turn_and_writes_nothing_when_it_thaws(core, watching, tmp_path, database):
    async with (
        core("Taken over.") as here,
        wire_process(tmp_path / "other", database) as (process, address),
        open_remote(address, token=None) as there,
    ):
        conversation = await there.start(ANA)
        watch = watching(here, DEV, conversation)
        await there.say(ANA, conversation, "long", client_message_id="m1")
        await watch.until(lambda item: isinstance(item, TextDelta))
        process.send_signal(signal.SIGSTOP)
        await watch.until(lambda item: isinstance(getattr(item, "event", None), TurnFinished), seconds=15)
        process.send_signal(signal.SIGCONT)
        second = await there.say(ANA, conversation, "still there?", client_message_id="m2")
        await watch.event(TurnFinished, turn=second.turn)
        told = [event for event in watch.events if not isinstance(event, MessageAdded)]
        kinds = [type(event) for event in told if event.type.startswith(("turn.", "message."))]
        assert kinds == [
            TurnStarted,
            TurnResumed,
            MessageFinished,
            TurnFinished,
            TurnStarted,
            MessageFinished,
            TurnFinished,
        ]
        assert [event.text for event in told if isinstance(event, MessageFinished)] == [
            "Taken over.",
            "You said: still there?",
        ]
        assert await here.turns._shop.database.read(lambda c: c.execute(sa.select(drafts)).all()) == []
        assert s.fold_all(s.empty(conversation), watch.seen) == await there.snapshot(ANA, conversation)


async def test_the_turn_of_a_dead_process_is_taken_up_by_another(core, watching, tmp_path, database):
    async with core("Taken over.") as here, wire_process(tmp_path / "other", database) as (process, address):
        async with open_remote(address, token=None) as there:
            conversation = await there.start(ANA)
            watch = watching(here, DEV, conversation)
            await there.say(ANA, conversation, "long", client_message_id="m1")
            await watch.until(lambda item: isinstance(item, TextDelta))
        process.kill()
        await watch.until(lambda item: isinstance(getattr(item, "event", None), TurnFinished), seconds=15)
        assert (await watch.event(TurnResumed)).attempt == 2
        assert (await watch.event(MessageFinished)).text == "Taken over."


async def test_a_turn_of_ours_that_runs_no_more_keeps_no_lease(core, watching):
    """Its end could not be written; the heartbeat of the others must not keep recovery from it."""
    hold = Hold()
    async with core([hold, "x"]) as a:
        conversation = await a.start(ANA)
        await a.say(ANA, conversation, "Hi", client_message_id="m1")
        await asyncio.wait_for(hold.reached.wait(), 20)
        shop = a.turns._shop
        assert await shop.database.write(lambda c: leases.heartbeat(c, shop.owner, [])) == set()
        running = next(iter(a.turns._running))
        assert await shop.database.write(lambda c: leases.heartbeat(c, shop.owner, [running])) == {running}
        hold.go.set()
        await watching(a, ANA, conversation).event(TurnFinished)


# ---- an end


async def test_what_is_erased_elsewhere_ends_for_all_who_watch_it_here_and_is_forgotten(core, watching):
    hold = Hold()
    async with core(["My card is 4711.", hold, "x"], lease_seconds=LONG_LEASE) as a, core() as b:
        conversation = await a.start(ANA)
        watches = [watching(door, ANA, conversation) for door in (a, b, b)]
        await a.say(ANA, conversation, "Hi", client_message_id="m1")
        for watch in watches:
            await watch.until(lambda item: isinstance(item, TextDelta))
        await b.erase(ANA, conversation)
        for watch in watches:
            await watch.over()
        for door in (a, b):
            with pytest.raises(NotFound):
                await door.snapshot(ANA, conversation)
            assert conversation not in door.turns._shop.feeds.conversations()


async def test_who_could_not_hear_of_an_erasure_finds_out_when_it_hears_again(core, watching):
    async with core() as a, core() as b:
        conversation = await a.start(ANA)
        watch = watching(b, ANA, conversation)
        await watch.event(ConversationStarted)
        b.turns._shop.database._listener.cancel()
        await asyncio.wait([b.turns._shop.database._listener])
        await a.erase(ANA, conversation)
        await b.turns._shop.database.listen(b.turns.wake, b.turns.wake_all)
        await watch.over()


# ---- a visitor who signs in

VISITOR = Principal("visitor", "visitor_1", "shop")
CUSTOMER = Principal("customer", "customer:shop:7", "shop", "Mira")


async def test_what_is_handed_over_elsewhere_is_shown_here_to_its_new_owner_alone(core, watching):
    async with core() as a, core() as b:
        conversation = await a.start(VISITOR)
        here = watching(a, VISITOR, conversation)
        await here.event(ConversationStarted)
        assert await b.hand_over(VISITOR, CUSTOMER) == 1
        async with asyncio.timeout(20):
            await asyncio.wait([here._task])
        assert [type(event) for event in here.events] == [ConversationStarted]
        await watching(a, CUSTOMER, conversation).event(CustomerIdentified, name="Mira")


async def test_a_question_asked_while_its_conversation_is_handed_over_is_the_new_owners(core, watching):
    holds = [Hold() for _ in range(8)]
    async with core(*([hold, Call("lock", {"card": "1"})] for hold in holds)) as a, core() as b:
        crowd = [await a.start(VISITOR) for _ in holds]
        for hold, conversation in zip(holds, crowd, strict=True):
            await a.say(VISITOR, conversation, "lock", client_message_id="m")
            await hold.reached.wait()
        for hold in holds:
            hold.go.set()
        assert await b.hand_over(VISITOR, CUSTOMER) == len(crowd)
        for conversation in crowd:
            opened = await watching(a, CUSTOMER, conversation).event(InterruptOpened)
            assert (await b.decide(CUSTOMER, conversation, opened.interrupt, "reject")).turn is not None
