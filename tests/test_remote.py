"""The door over HTTP: what it says is what the door behind the server says, and it comes back by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from agent_core.door import ClientTool, Principal, Start
from agent_core.errors import Conflict, Invalid, NotFound, Overloaded
from agent_core.events import (
    ConversationStarted,
    Cursor,
    InterruptOpened,
    Logged,
    MessageAdded,
    MessageFinished,
    Reset,
    TextDelta,
    ToolCalled,
    TurnFinished,
    TurnStarted,
    TurnWaiting,
)
from agent_core.snapshot import empty, fold_all
from app import native
from app.remote import RemoteConversations, ServerGone, open_remote
from app.repl.attach import DEVELOPER
from app.repl.script import Collector
from app.repl.session import Session
from app.tokens import Tokens
from tests.conftest import ANA, MAYA
from tests.owner import changed
from tests.scripted import Call, Hold
from tests.stage import TRANSPORTS, play
from tests.wire import OPERATOR_TOKEN, serving

NOBODY = Principal("visitor", "nobody")
LOCK = Call("lock", {"card": "A-1"})


@asynccontextmanager
async def remote(core: Any, settings: Any, *model: Any, developer: bool = True) -> AsyncIterator[RemoteConversations]:
    """A door at the other end of a real connection."""
    async with core(*model) as door, serving(settings, door) as served:
        token = Tokens(settings).developer() if developer else None
        async with open_remote(served.address, token=token, operator_token=OPERATOR_TOKEN) as there:
            yield there


async def test_a_visitor_starts_with_no_token_and_is_known_from_then_on(core, settings):
    async with remote(core, settings, "Hello.", developer=False) as door:
        conversation = await door.start(NOBODY, Start(language="de"))
        receipt = await door.say(NOBODY, conversation, "Hi", client_message_id="m1")
        assert (await door.say(NOBODY, conversation, "Hi", client_message_id="m1")).replayed
        assert (receipt.turn or "").startswith("turn_")
        assert [s.conversation for s in await door.list(NOBODY)] == [conversation]
        assert (await door.snapshot(NOBODY, conversation))["language"] == "de"


async def test_what_is_watched_there_is_what_happened_here(core, settings, watching):
    async with remote(core, settings, [Call("lookup", {"q": "x"})], "It is 42, of course.") as door:
        conversation = await door.start(DEVELOPER)
        await door.say(DEVELOPER, conversation, "Hi", client_message_id="m1")
        watch = watching(door, DEVELOPER, conversation)
        await watch.event(TurnFinished)
        assert watch.text in ("It is 42, of course.", "")  # nothing, when it had been finished before
        logged = [item for item in watch.seen if isinstance(item, Logged)]
        assert logged == await door.history(DEVELOPER, conversation)
        assert fold_all(empty(conversation), watch.seen) == await door.snapshot(DEVELOPER, conversation)


async def test_history_comes_in_pages(core, settings):
    async with remote(core, settings, "Hello.") as door:
        conversation = await door.start(DEVELOPER)
        await door.say(DEVELOPER, conversation, "Hi", client_message_id="m1")
        (first,) = await door.history(DEVELOPER, conversation, limit=1)
        rest = await door.history(DEVELOPER, conversation, after=1)
        assert (first.seq, rest[0].seq) == (1, 2)


async def test_an_approval_is_decided_once(core, settings, watching, shop):
    async with remote(core, settings, [LOCK], "Locked.") as door:
        conversation = await door.start(DEVELOPER)
        await door.say(DEVELOPER, conversation, "Lock it", client_message_id="m1")
        watch = watching(door, DEVELOPER, conversation)
        asked = await watch.event(InterruptOpened)
        with pytest.raises(Invalid) as refused:
            await door.decide(DEVELOPER, conversation, asked.interrupt, "approve", arguments={"card": "B-2"})
        assert refused.value.field == "arguments.card"
        decided = await door.decide(
            DEVELOPER, conversation, asked.interrupt, "approve", arguments={"card": "A-1", "note": "lost"}
        )
        assert decided.turn == asked.turn
        with pytest.raises(Conflict, match="already approved"):
            await door.decide(DEVELOPER, conversation, asked.interrupt, "reject")
        await watch.event(TurnFinished)
        assert shop.effects[0][1] == {"card": "A-1", "note": "lost"}


async def test_a_client_tool_is_offered_and_answered(core, settings, watching):
    async with remote(core, settings, [Call("where_am_i")], "In Bonn.") as door:
        conversation = await door.start(DEVELOPER)
        tools = [ClientTool("where_am_i", "Where the customer is.", {"type": "object", "properties": {}})]
        await door.say(DEVELOPER, conversation, "Where?", client_message_id="m1", client_tools=tools)
        watch = watching(door, DEVELOPER, conversation)
        called = await watch.event(ToolCalled)
        await watch.event(TurnWaiting)
        await door.answer_call(DEVELOPER, conversation, called.call, "Bonn")
        assert (await watch.event(MessageFinished)).text == "In Bonn."


async def test_a_stop_keeps_what_was_said(core, settings, watching):
    async with remote(core, settings, ["We open ", Hold()]) as door:
        conversation = await door.start(DEVELOPER)
        assert not await door.stop(DEVELOPER, conversation)
        await door.say(DEVELOPER, conversation, "When?", client_message_id="m1")
        watch = watching(door, DEVELOPER, conversation)
        await watch.event(TextDelta)
        assert await door.stop(DEVELOPER, conversation)
        assert (await watch.event(MessageFinished)).status == "stopped"


async def test_the_floor_is_taken_used_and_given_back(core, settings, watching):
    async with remote(core, settings) as door:
        conversation = await door.start(DEVELOPER)
        with pytest.raises(Conflict):
            await door.reply(MAYA, conversation, "Hello", client_message_id="o1")
        await door.take_floor(MAYA, conversation)
        receipt = await door.reply(MAYA, conversation, "Hello", client_message_id="o1")
        assert receipt.turn is None
        await door.give_floor(MAYA, conversation)
        assert (await door.snapshot(DEVELOPER, conversation))["floor"] == {"holder": "agent", "name": None}


async def test_operators_find_who_asks_for_a_person(core, settings, watching):
    file = changed(settings, tools={"lookup": {"calls_person": True}})
    async with (
        core([Call("lookup", {"q": "x"})], "One comes.", team_file=file) as door,
        serving(settings, door) as served,
    ):
        asked, _quiet = await door.start(ANA), await door.start(ANA)
        await door.say(ANA, asked, "A person, please", client_message_id="m1")
        await watching(door, ANA, asked).event(TurnFinished)
        async with open_remote(served.address, token=None, operator_token=OPERATOR_TOKEN) as there:
            assert await there.list(MAYA, asking=True) == await door.list(MAYA, asking=True)
            (line,) = await there.list(MAYA, asking=True)
            assert line.conversation == asked
            assert line.asks_since is not None
            assert len(await there.list(MAYA)) == 2


async def test_forks_settings_feedback_the_desk_and_erasing_go_over_the_line(core, settings, watching):
    async with remote(core, settings, "Hello.") as door:
        conversation = await door.start(DEVELOPER)
        await door.say(DEVELOPER, conversation, "Hi", client_message_id="m1")
        watch = watching(door, DEVELOPER, conversation)
        said = await watch.event(MessageFinished)
        await watch.event(TurnFinished)
        await door.feedback(DEVELOPER, conversation, said.message, "up", "nice")
        await door.configure(DEVELOPER, conversation, agent="expert")
        copy = await door.fork(DEVELOPER, conversation)
        assert (await door.snapshot(DEVELOPER, copy))["agent"] == "expert"
        assert (await door.export(DEVELOPER, conversation))["events"]
        desk = await door.desk(DEVELOPER)
        assert (desk.team, desk.agents) == ("The Shop", ("lead", "expert"))
        assert any(tool.name == "lock" and tool.approval for tool in desk.tools)
        await door.erase(DEVELOPER, conversation)
        with pytest.raises(NotFound):
            await door.snapshot(DEVELOPER, conversation)


async def test_a_cursor_nobody_has_been_at_gets_a_reset(core, settings, watching):
    async with remote(core, settings) as door:
        conversation = await door.start(DEVELOPER)
        reset = await watching(door, DEVELOPER, conversation, Cursor(999)).until(lambda item: isinstance(item, Reset))
        assert reset.snapshot["conversation"] == conversation


async def test_a_stranger_finds_nothing(core, settings):
    async with remote(core, settings) as door:
        conversation = await door.start(DEVELOPER)
        door._token = None
        for asking in (door.snapshot(NOBODY, conversation), door.desk(NOBODY), anext(door.watch(NOBODY, conversation))):
            with pytest.raises(NotFound):
                await asking


# ---- the same conversation, here and there

SCRIPT = """\
you   > Lock my card
agent > One moment.
asks  > lock {"card": "A-1"}
you   > /approve {"note": "lost"}
tool  > lock {"card": "A-1", "note": "lost"} = ok locked A-1
agent > Locked.
you   > Anything new?
card  > displayAlert: i Maintenance
agent > Mind the notice.
you   > /decide dismiss
you   > darn
agent > Let's stay polite.
ends  > done: guardrail
you   > /tool where_am_i
you   > Where am I?
call  > where_am_i {}
you   > /answer Bonn
tool  > where_am_i {} = ok Bonn
hand  > lead -> expert
agent > In Bonn.
you   > Tell me all
you   > /stop after "at nine"
agent > We open at nine
ends  > stopped
you   > /floor take Maya
floor > operator (Maya)
oper  > Hello, Maya here.
you   > Hello Maya
you   > /floor give
floor > agent
"""
ALERT = Call("displayAlert", {"level": "info", "title": "Maintenance", "text": "Tonight."})


@pytest.mark.parametrize("transport", TRANSPORTS.values(), ids=TRANSPORTS.keys())
async def test_a_transcript_says_the_same_through_every_transport(core, settings, transport):
    model = (
        *(["One moment.", LOCK], "Locked.", [ALERT], "Mind the notice."),
        *([Call("where_am_i")], [Call("transfer_to_expert")], "In Bonn."),
        ["We open at nine ", Hold()],
    )
    async with core(*model) as door, transport(settings, door) as there:
        result, printed = await play(there, SCRIPT)
        assert result.report == ""
    async with core(*model) as door, transport(settings, door) as there:
        result, _ = await play(there, printed)
        assert result.report == ""


# ---- a server that goes, and one that is not ours


@asynccontextmanager
async def impostor(handle: Any) -> AsyncIterator[str]:
    """A server that answers everything as the test says."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_watcher_comes_back_after_a_cut_from_where_it_was():
    asked: list[str | None] = []
    delta = TextDelta(3, "msg_1", "turn_1", "lead", 0, "Hel")

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Last-Event-ID"))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if len(asked) == 1:
            await response.write(b": \n\n" + native.to_frame(delta)[:-9])
            await response.write(native.to_frame(delta)[-9:] + b'event: bye\nretry: 500\ndata: {}\n\nid: 9\ndata: {"ty')
        else:
            newer = b'id: 4\ndata: {"seq":4,"at":1,"type":"moon.landed"}\n\n'
            await response.write(newer + native.to_frame(TextDelta(3, "msg_1", "turn_1", "lead", 3, "lo")))
        return response

    async with impostor(handle) as address, open_remote(address, token="t") as door:
        watched = door.watch(DEVELOPER, "conv_1", Cursor(3))
        async with asyncio.timeout(20):
            texts = [(await anext(watched)).text, (await anext(watched)).text]
        await watched.aclose()
        assert texts == ["Hel", "lo"]
        assert asked == ["3", "3.3"]


async def test_who_is_told_the_whole_anew_has_missed_nothing():
    """The end was written by another hand, and is shorter than what was read of it."""
    log = [
        Logged(1, 1, ConversationStarted("default", "shop", "lead")),
        Logged(2, 1, MessageAdded("msg_1", "user", "When?", "turn_1")),
        Logged(3, 1, TurnStarted("turn_1", "lead")),
        Logged(4, 1, MessageFinished("msg_2", "turn_1", "lead", "We open", "stopped")),
        Logged(5, 1, TurnFinished("turn_1", "stopped")),
    ]
    streams = [
        native.to_frame(TextDelta(3, "msg_2", "turn_1", "lead", 0, "We open at nine")),
        native.to_frame(Reset(fold_all(empty("conv_1"), log))),
    ]
    came = 0

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal came
        if request.path.endswith("/history"):
            after, head = int(request.query["after"]), 5 if came else 3
            return web.json_response({"events": [native.to_dict(item) for item in log[after:head]]})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"".join(streams[came : came + 1]))
        came += 1
        return response

    collector = Collector()
    async with impostor(handle) as address, open_remote(address, token="t") as door:
        session = Session(door, DEVELOPER, "conv_1", [collector])
        await session.open()
        async with asyncio.timeout(20):
            await session.settled("turn_1", Cursor(2))
            await session.until(lambda: session.draft == "" and session.snapshot["turn"] is None)
        await session.aclose()
    assert session.snapshot == fold_all(empty("conv_1"), log)
    assert [str(line) for line in collector.take()] == ["agent > We open", "ends  > stopped"]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, {}, NotFound),
        (409, {"error": {"code": "conflict", "message": "too late"}}, Conflict),
        (422, {"error": {"code": "invalid", "message": "too long", "field": "text"}}, Invalid),
        (503, {"error": {"code": "overloaded", "message": "busy"}}, Overloaded),
        (500, {"error": {}}, ServerGone),
        (502, None, ServerGone),
    ],
)
async def test_a_refusal_is_the_error_that_the_door_raised(status: int, body: Any, error: type[Exception]):
    async def handle(_request: web.Request) -> web.Response:
        headers = {"Retry-After": "7"}
        return (
            web.Response(status=status, text="<html>")
            if body is None
            else web.json_response(body, status=status, headers=headers)
        )

    async with impostor(handle) as address, open_remote(address, token="t") as door:
        with pytest.raises(error) as raised:
            await door.say(DEVELOPER, "conv_1", "Hi", client_message_id="m1")
        if isinstance(raised.value, Overloaded):
            assert raised.value.retry_after == 7


async def test_a_server_that_is_not_there_is_said_to_be_gone():
    async with open_remote("http://127.0.0.1:9", token="t") as door:
        with pytest.raises(ServerGone):
            await door.list(DEVELOPER)
