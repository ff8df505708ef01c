"""How much one may ask for: visitors, addresses, slow senders, long histories; and who has no limit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any

import httpx2
import pytest

from agent_core.door import Principal
from agent_core.errors import SetupError, TooMany
from agent_core.settings import Settings, read_settings
from app import limits
from app.agui_input import MESSAGES, NEW, PARTS, VERDICTS
from app.entrance import HISTORY_BYTES
from app.limits import Allowance, Limits
from tests.conftest import OpenCore
from tests.scripted import ScriptedModels
from tests.wire import Served, Visitor, serving

VISITOR = Principal("visitor", "visitor_1")
FEW = {
    "new_visitors_per_hour": 3,
    "conversations_per_hour": 3,
    "messages_per_minute": 3,
    "visitor_streams": 2,
    "address_streams": 3,
}
#: As a proxy on this machine, which is trusted, tells it.
ELSEWHERE = {"X-Forwarded-For": "203.0.113.7"}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def served(core: OpenCore, settings: Settings) -> AsyncIterator[Served]:
    async with opened(core, settings) as out:
        yield out


@asynccontextmanager
async def opened(core: OpenCore, settings: Settings, **changed: Any) -> AsyncIterator[Served]:
    few = settings.model_copy(update=FEW | changed)
    async with core(models=ScriptedModels(otherwise=lambda _: "Yes."), **FEW) as door, serving(few, door) as out:
        yield out


def refused(answer: httpx2.Response) -> int:
    """The seconds to wait, of an answer that is a refusal."""
    assert answer.status_code == 429, answer.text
    assert answer.json()["error"]["code"] == "too_many"
    return int(answer.headers["Retry-After"])


# ---- allowances


def test_an_allowance_is_used_at_once_and_comes_back_steadily() -> None:
    clock = Clock()
    allowance = Allowance(3, 60, clock)
    for _ in range(3):
        allowance.take("ana")
    with pytest.raises(TooMany) as told:
        allowance.take("ana")
    assert told.value.retry_after == pytest.approx(20)
    allowance.take("bob")
    clock.now = 20
    allowance.take("ana")
    with pytest.raises(TooMany):
        allowance.take("ana")
    clock.now = 1000
    for _ in range(3):
        allowance.take("ana")


def test_to_be_refused_costs_nothing() -> None:
    clock = Clock()
    allowance = Allowance(1, 10, clock)
    allowance.take("ana")
    for _ in range(100):
        with pytest.raises(TooMany):
            allowance.take("ana")
    clock.now = 10
    allowance.take("ana")


def test_several_at_once_count_as_several_and_never_as_more_than_can_be_had() -> None:
    allowance = Allowance(3, 60, Clock())
    allowance.take("ana", 2)
    with pytest.raises(TooMany):
        allowance.take("ana", 2)
    allowance.take("bob", 100)


def test_the_memory_of_allowances_is_bounded() -> None:
    allowance = Allowance(1, 1e9, Clock())
    for n in range(limits.KEPT + 10):
        allowance.take(str(n))
    assert len(allowance._full_at) == limits.KEPT


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.8", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("no address", "neither", True),
        (None, "no address", True),
    ],
)
def test_what_counts_as_one_address(settings: Settings, one: str | None, other: str, same: bool) -> None:
    few = Limits(settings.model_copy(update={"new_visitors_per_hour": 1}))
    few.new_visitor(one)
    if same:
        with pytest.raises(TooMany):
            few.new_visitor(other)
    else:
        few.new_visitor(other)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_this_machine_has_no_limit_while_developing(settings: Settings, address: str) -> None:
    developing = Limits(settings.model_copy(update=FEW))
    serving_ = Limits(settings.model_copy(update=FEW | {"environment": "production"}))
    for _ in range(3):
        developing.new_visitor(address)
        serving_.new_visitor(address)
    developing.new_visitor(address)
    with pytest.raises(TooMany):
        serving_.new_visitor(address)


def test_a_proxy_that_nobody_named_is_suspected_once(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    few = Limits(settings.model_copy(update={"new_visitors_per_hour": 1}))
    for address in ("10.0.0.7", "8.8.8.8"):
        few.new_visitor(address)
        for _ in range(3):
            with pytest.raises(TooMany):
                few.new_visitor(address)
    assert [record.getMessage() for record in caplog.records] == [
        "many new visitors come from 10.0.0.7; if it is a proxy, name it in PARLEY_TRUSTED_PROXIES"
    ]


@pytest.mark.parametrize("role", ["service", "developer", "operator"])
def test_who_holds_a_secret_has_no_limit(settings: Settings, role: Any) -> None:
    few, who = Limits(settings.model_copy(update=FEW)), Principal(role, role)
    with ExitStack() as stack:
        for _ in range(100):
            few.start(who)
            few.say(who)
            few.read(who)
            stack.enter_context(few.streaming(who, "203.0.113.7"))


def test_a_list_of_proxies_that_is_none_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_TRUSTED_PROXIES", "10.0.0.0/8, nginx")
    with pytest.raises(SetupError, match=r"PARLEY_TRUSTED_PROXIES.*nginx"):
        read_settings(_env_file=None)


# ---- over HTTP


async def test_an_address_brings_only_so_many_new_visitors(served: Served) -> None:
    for n in range(3):
        path = ("/conversations", "/sites/demo/visitors")[n % 2]
        assert (await served.http.post(path, json={}, headers=ELSEWHERE)).status_code == 201
    for path in ("/conversations", "/sites/demo/visitors"):
        assert 0 < refused(await served.http.post(path, json={}, headers=ELSEWHERE)) <= 1200
    other = {"X-Forwarded-For": "203.0.113.8"}
    assert (await served.http.post("/sites/demo/visitors", json={}, headers=other)).status_code == 201
    for _ in range(5):
        assert (await served.http.post("/sites/demo/visitors", json={})).status_code == 201


async def test_who_has_a_token_comes_in_whatever_the_address(served: Served) -> None:
    visitor = await served.visitor()
    for _ in range(3):
        await served.http.post("/sites/demo/visitors", json={}, headers=ELSEWHERE)
    answer = await served.http.post("/conversations", json={}, headers=visitor.headers | ELSEWHERE)
    assert answer.status_code == 201


async def test_a_proxy_that_is_not_ours_is_not_believed(core: OpenCore, settings: Settings) -> None:
    async with opened(core, settings, trusted_proxies=("192.0.2.1",), environment="production") as served:
        for n in range(3):
            forged = {"X-Forwarded-For": f"203.0.113.{n}"}
            assert (await served.http.post("/conversations", json={}, headers=forged)).status_code == 201
        refused(await served.http.post("/conversations", json={}, headers={"X-Forwarded-For": "203.0.113.99"}))


async def test_what_a_client_puts_before_the_proxys_own_word_is_not_believed(served: Served) -> None:
    for n in range(4):
        forged = {"X-Forwarded-For": f"198.51.100.{n}, 203.0.113.7"}
        answer = await served.http.post("/conversations", json={}, headers=forged)
    refused(answer)


async def test_a_visitor_begins_only_so_many_conversations(served: Served) -> None:
    visitor = await served.visitor()
    run = {"threadId": "new", "runId": "r", "messages": [{"id": "1", "role": "user", "content": "Hi"}]}
    assert (await served.http.post("/conversations", json={"thread": "a"}, headers=visitor.headers)).status_code == 201
    assert (await visitor.post("/fork", {})).status_code == 201
    refused(await served.http.post("/conversations", json={}, headers=visitor.headers))
    refused(await visitor.post("/fork", {}))
    refused(await served.http.post("/agui/run", json=run, headers=visitor.headers))
    refused(await served.http.post("/agui/connect", json=run | {"messages": []}, headers=visitor.headers))
    again = await served.http.post("/conversations", json={"thread": "a"}, headers=visitor.headers)
    assert again.status_code == 201
    other = await served.visitor()
    assert other.conversation != visitor.conversation


async def test_a_first_message_that_is_refused_begins_nothing_and_costs_no_start(
    core: OpenCore, settings: Settings
) -> None:
    run = {"threadId": "new", "runId": "r", "messages": [{"id": "1", "role": "user", "content": " "}]}
    async with opened(core, settings, conversations_per_hour=2, messages_per_minute=100) as served:
        visitor = await served.visitor()  # who has begun one
        for _ in range(5):
            answer = await served.http.post("/agui/run", json=run, headers=visitor.headers)
            assert answer.status_code == 422, answer.text
        (line,) = (await served.http.get("/conversations", headers=visitor.headers)).json()["conversations"]
        assert line["conversation"] == visitor.conversation
        run["messages"][0]["content"] = "Hi"  # type: ignore[index]
        assert (await served.http.post("/agui/run", json=run, headers=visitor.headers)).status_code == 200
        refused(await served.http.post("/agui/run", json=run | {"threadId": "newer"}, headers=visitor.headers))


async def test_a_page_may_ask_for_its_thread_as_often_as_it_is_opened(served: Served) -> None:
    visitor = await served.visitor()
    found = set()
    for _ in range(20):
        answer = await served.http.post("/conversations", json={"thread": "widget"}, headers=visitor.headers)
        assert answer.status_code == 201
        found.add(answer.json()["conversation"])
    assert len(found) == 1


async def test_a_thread_that_is_erased_and_begun_again_counts_each_time(served: Served) -> None:
    visitor = await served.visitor()
    statuses = []
    for _ in range(5):
        answer = await served.http.post("/conversations", json={"thread": "a"}, headers=visitor.headers)
        statuses.append(answer.status_code)
        if answer.status_code == 201:
            await served.http.delete(f"/conversations/{answer.json()['conversation']}", headers=visitor.headers)
    assert 429 in statuses


async def test_a_visitor_says_only_so_much_in_a_minute(served: Served) -> None:
    visitor, other = await served.visitor(), await served.visitor()
    for _ in range(3):
        await visitor.say("Hello")
    body = {"client_message_id": "more", "text": "And more"}
    assert 0 < refused(await visitor.post("/messages", body)) <= 20
    run = {"threadId": visitor.conversation, "runId": "r", "messages": [{"id": "1", "role": "user", "content": "Hi"}]}
    refused(await served.http.post("/agui/run", json=run, headers=visitor.headers))
    refused(await visitor.post("/feedback", {"message": "msg_1", "rating": "up"}))
    await other.say("Hello")
    for n in range(6):
        answer = await served.http.post(
            f"/conversations/{other.conversation}/messages",
            json={"client_message_id": f"s{n}", "text": "From the REPL"},
            headers=served.service,
        )
        assert answer.status_code in (202, 503)  # the conversation's own queue may be full


async def test_a_visitor_reads_only_so_often_in_a_minute_whatever_is_read(core: OpenCore, settings: Settings) -> None:
    """Each of them may cost as much as the whole conversation is long."""
    async with opened(core, settings, reads_per_minute=7) as served:
        visitor, other = await served.visitor(), await served.visitor()
        for path in ("", "/items", "/history", "/export"):
            assert (await visitor.get(path)).status_code == 200
        assert (await served.http.get("/conversations", headers=visitor.headers)).status_code == 200
        async with visitor.watching():
            pass
        run = {"threadId": visitor.conversation, "runId": "r", "messages": []}
        assert (await served.http.post("/agui/connect", json=run, headers=visitor.headers)).status_code == 200
        for path in ("", "/items", "/history", "/export", "/events"):
            assert 0 < refused(await visitor.get(path)) <= 9
        refused(await served.http.get("/conversations", headers=visitor.headers))
        refused(await served.http.post("/agui/connect", json=run, headers=visitor.headers))
        await visitor.say("Hello")
        assert (await other.get()).status_code == 200
        for _ in range(10):
            answer = await served.http.get(f"/conversations/{visitor.conversation}", headers=served.service)
            assert answer.status_code == 200


async def test_a_visitor_has_only_so_many_streams_and_gets_a_place_back(served: Served) -> None:
    visitor = await served.visitor()
    path = f"/conversations/{visitor.conversation}/events"
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(visitor.watching())
        assert refused(await served.http.get(path, headers=visitor.headers)) == 5
        async with served.http.stream("GET", path, headers=served.service) as answer:
            assert answer.status_code == 200
    async with asyncio.timeout(20), visitor.watching() as reader:
        await reader.next()


async def test_an_address_has_only_so_many_streams(served: Served) -> None:
    crowd = [await served.visitor() for _ in range(4)]
    async with AsyncExitStack() as stack:
        statuses = []
        for visitor in crowd:
            answer = await stack.enter_async_context(_stream(served, visitor, ELSEWHERE))
            statuses.append(answer.status_code)
        assert statuses == [200, 200, 200, 429]
        near = await stack.enter_async_context(_stream(served, crowd[3], {}))
        assert near.status_code == 200


def _stream(served: Served, visitor: Visitor, headers: dict[str, str]) -> Any:
    url = f"/conversations/{visitor.conversation}/events"
    return served.http.stream("GET", url, headers=visitor.headers | headers)


async def test_streams_that_come_at_the_same_moment_are_counted_too(served: Served) -> None:
    visitor = await served.visitor()
    async with AsyncExitStack() as stack:
        came = await asyncio.gather(
            *(stack.enter_async_context(_stream(served, visitor, {})) for _ in range(8)), return_exceptions=False
        )
        assert sorted(answer.status_code for answer in came) == [200] * 2 + [429] * 6


# ---- slow senders, long histories


async def test_a_body_that_does_not_come_is_not_waited_for(served: Served) -> None:
    served.house.body_seconds = 0.3
    host, port = served.address.removeprefix("http://").split(":")
    for begun in (b"", b'{"thread"'):
        reader, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"POST /conversations HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 99\r\n"
        )
        writer.write(head.encode() + b"\r\n" + begun)
        async with asyncio.timeout(20):
            answer = await reader.read()  # to the end of the connection
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"too_slow"' in answer
        writer.close()


async def test_a_body_in_drips_is_not_waited_for_either(served: Served) -> None:
    served.house.body_seconds = 0.5
    visitor = await served.visitor()

    async def drips() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" "
            await asyncio.sleep(0.05)

    headers = visitor.headers | {"Content-Type": "application/json"}
    async with asyncio.timeout(20):
        try:
            answer = await served.http.post("/agui/run", content=drips(), headers=headers)
            assert answer.status_code == 408
        except httpx2.NetworkError:
            pass  # hung up on while it dripped


async def test_a_stream_may_be_as_long_as_it_likes_after_its_body(served: Served) -> None:
    served.house.body_seconds, served.house.heartbeat_seconds = 0.2, 0.1
    visitor = await served.visitor()
    async with visitor.watching() as reader:
        async with asyncio.timeout(20):
            while len(reader.comments) < 5:
                reader.comments += (await anext(reader._chunks)).decode().split("\n\n")[:-1]
        await visitor.say("Hello")
        await reader.until("RUN_FINISHED")


async def test_a_long_history_is_not_read_for_somebody_without_a_token(served: Served) -> None:
    served.house.body_seconds = 30
    host, port = served.address.removeprefix("http://").split(":")
    for path in ("/agui/run", "/agui/connect", "/copilotkit/agent/default/run", "/copilotkit/agent/default/connect"):
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n"
        writer.write(head.encode() + b"Authorization: Bearer x\r\n\r\n{")
        async with asyncio.timeout(20):
            answer = await reader.readline()
        assert answer.startswith(b"HTTP/1.1 404 "), path
        writer.close()


MESSAGE = {"id": "1", "role": "user", "content": "Hi"}
CALL = {"id": "c", "type": "function", "function": {"name": "x", "arguments": "{}"}}
TOOL = {"id": "1", "role": "tool", "toolCallId": "c", "content": "x"}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"messages": [MESSAGE] * (MESSAGES + 1)}, "messages"),
        ({"messages": [{**MESSAGE, "content": [{"type": "text", "text": "x"}] * (PARTS + 1)}]}, "messages"),
        ({"messages": [{"id": "1", "role": "assistant", "toolCalls": [CALL] * (PARTS + 1)}]}, "messages"),
        ({"messages": [{"id": str(n), "role": "user", "content": "x"} for n in range(NEW + 1)]}, "messages"),
        ({"messages": [TOOL] * (NEW + 1)}, "messages"),
        ({"resume": [{"interruptId": "x", "status": "resolved"}] * (VERDICTS + 1)}, "resume"),
        ({"tools": [{"name": "x", "description": "", "parameters": {}}] * 65}, "tools"),
        ({"context": [{"description": "", "value": ""}] * 101}, "context"),
    ],
)
async def test_a_run_has_no_more_of_anything_than_a_conversation_has(
    served: Served, changed: dict[str, Any], field: str
) -> None:
    visitor = await served.visitor()
    run = {"threadId": visitor.conversation, "runId": "r", "messages": [MESSAGE]} | changed
    answer = await served.http.post("/agui/run", json=run, headers=visitor.headers)
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field
    assert (await visitor.get()).json()["items"] == []


async def test_a_history_of_a_long_conversation_is_taken(served: Served) -> None:
    visitor = await served.visitor()
    past = [{"id": f"a{n}", "role": "assistant", "content": "x" * 400} for n in range(MESSAGES - 1)]
    run = {"threadId": visitor.conversation, "runId": "r", "messages": [*past, MESSAGE]}
    assert len(json.dumps(run)) < HISTORY_BYTES
    async with served.http.stream("POST", "/agui/run", json=run, headers=visitor.headers) as answer:
        assert answer.status_code == 200
    too_long = b" " * (HISTORY_BYTES + 1)
    headers = visitor.headers | {"Content-Type": "application/json"}
    assert (await served.http.post("/agui/run", content=too_long, headers=headers)).status_code == 413
