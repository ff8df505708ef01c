"""Tool servers that crash, hang, restart, change their story and flood: what the conversation notices of it."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent_core import tool_results
from agent_core.errors import ToolError, ToolTimedOut, ToolUnavailable
from agent_core.mcp_stdio import Oversized, bounded_lines
from agent_core.tool_results import TEXT_BYTES
from agent_core.tool_servers import ServerConfig, ToolResult, ToolServers
from tests.ports import free_port

FAULTY = (sys.executable, str(Path(__file__).parent / "faulty_mcp.py"))
META = {"parley/idempotency-key": "key-1", "parley/conversation": "conv_1"}
HERE = ServerConfig("here", python="tests.faulty_mcp:create_server", options={"name": "here"})
CHILD = ServerConfig("child", command=(*FAULTY, "--stdio", "--name", "child"))
TRANSPORTS = ["here", "child", "web"]


class Tools:
    """The servers, and a way to wait for a change of their health."""

    def __init__(self, *configs: ServerConfig, pins: dict[str, str] | None = None) -> None:
        self.changed = asyncio.Event()
        self.servers = ToolServers(configs, pins=pins, on_change=self.changed.set)

    async def call(self, tool: str, *, timeout: float = 30, **arguments: object) -> ToolResult:  # noqa: ASYNC109
        return await self.servers.call(tool, arguments, timeout=timeout, meta=META)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def until_ready(self, server: str) -> None:
        await self.until(lambda: self.servers.health()[server].state == "ready")

    def names(self) -> list[str]:
        return [definition.name for definition in self.servers.tools()]


@asynccontextmanager
async def running(*configs: ServerConfig, pins: dict[str, str] | None = None) -> AsyncIterator[Tools]:
    tools = Tools(*configs, pins=pins)
    await tools.servers.start()
    try:
        yield tools
    finally:
        await tools.servers.aclose()


class Web:
    """A server over HTTP in a process of its own, which can be killed and started again at the same address."""

    def __init__(self) -> None:
        self.port = free_port()
        self.config = ServerConfig("web", url=f"http://127.0.0.1:{self.port}/mcp")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *arguments: str) -> None:
        command = (*FAULTY, "--http", str(self.port), "--name", "web", *arguments)
        self._process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)

    async def kill(self) -> None:
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    server = Web()
    await server.start()
    yield server
    await server.kill()


@pytest.fixture
async def tools(request: pytest.FixtureRequest) -> AsyncIterator[Tools]:
    """One server, over the transport that the test asks for."""
    server = Web()
    if request.param == "web":
        await server.start()
    async with running({"here": HERE, "child": CHILD, "web": server.config}[request.param]) as tools:
        await tools.until_ready(request.param)
        yield tools
    await server.kill()


on_every_transport = pytest.mark.parametrize("tools", TRANSPORTS, indirect=True)
on_wires = pytest.mark.parametrize("tools", ["child", "web"], indirect=True)
in_a_child = pytest.mark.parametrize("tools", ["child"], indirect=True)


# ---- what works


@on_every_transport
async def test_a_tool_is_listed_and_answers_in_text_and_in_structure(tools: Tools) -> None:
    echo = tools.servers.tools()[0]
    assert (echo.name, echo.description, echo.annotations.read_only) == ("echo", "Say it back.", True)
    assert echo.schema["additionalProperties"] is False
    assert await tools.call("echo", text="hello") == ToolResult("hello", structured={"result": "hello"})


async def test_a_tool_has_the_same_pin_on_every_transport(web: Web) -> None:
    async with running(HERE, CHILD, web.config) as tools:
        await tools.until_ready("web")
        assert len({d.pin for d in tools.servers.tools() if d.called == "echo"}) == 1


@on_every_transport
async def test_the_key_and_the_conversation_reach_the_tool(tools: Tools) -> None:
    assert (await tools.call("count")).text == "1 in conv_1"
    assert (await tools.call("count")).text == "2 in conv_1"


@on_every_transport
async def test_calls_run_side_by_side(tools: Tools) -> None:
    assert {answer.text for answer in await asyncio.gather(*(tools.call("meet", of=5) for _ in range(5)))} == {
        "all here"
    }


@on_every_transport
async def test_a_tool_that_refuses_is_an_answer_without_the_traceback(tools: Tools) -> None:
    answer = await tools.call("refuse")
    assert answer.is_error
    assert "secret" not in answer.text


@on_every_transport
async def test_what_is_not_text_becomes_a_note(tools: Tools) -> None:
    answer = await tools.call("pictures")
    assert answer.text.splitlines() == [
        "Look:",
        "[an image: image/png]",
        "[a sound: audio/wav]",
        "[a file: application/pdf]",
    ]


async def test_a_tool_nobody_has_is_a_tool_error() -> None:
    async with running(HERE) as tools:
        with pytest.raises(ToolError, match="no tool 'fly'") as error:
            await tools.call("fly")
        assert not isinstance(error.value, ToolUnavailable)


# ---- crashes


async def test_a_child_that_crashes_again_and_again_is_back_each_time_and_others_go_on() -> None:
    async with running(CHILD, HERE) as tools:
        for times in range(4):
            with pytest.raises(ToolUnavailable, match="not known") as lost:
                await tools.call("child__crash")
            assert lost.value.outcome_unknown
            assert "child__echo" in tools.names()
            assert (await tools.call("here__echo", text="still here")).text == "still here"
            assert (await tools.call("child__echo", text="back", timeout=30)).text == "back"
            assert tools.servers.health()["child"].restarts == times + 1


async def test_a_crash_ends_every_call_that_was_under_way_and_none_waits_for_its_timeout() -> None:
    async with running(CHILD) as tools:
        async with asyncio.timeout(20):
            ends = await asyncio.gather(
                *(tools.call("hang", timeout=60) for _ in range(5)), tools.call("crash"), return_exceptions=True
            )
        assert all(isinstance(end, ToolUnavailable) and end.outcome_unknown for end in ends)


async def test_a_child_that_dies_while_nobody_looks_is_noticed_at_once_with_its_last_words() -> None:
    async with running(CHILD) as tools:
        pid = int((await tools.call("pid")).text)
        await tools.call("grumble", n=0)
        os.kill(pid, signal.SIGKILL)
        await tools.until(lambda: tools.servers.health()["child"].last_error is not None)
        assert "ended with code -9" in (tools.servers.health()["child"].last_error or "")
        await tools.until_ready("child")


async def test_a_server_over_http_that_crashes_in_a_call_comes_back_when_it_is_started_again(web: Web) -> None:
    async with running(web.config, HERE) as tools:
        await tools.until_ready("web")
        for _ in range(2):
            with pytest.raises(ToolUnavailable) as lost:
                await tools.call("web__crash")
            assert lost.value.outcome_unknown
            await tools.until(lambda: tools.servers.health()["web"].state == "down")
            assert "web__echo" not in tools.names()
            with pytest.raises(ToolUnavailable, match=r"tried again in \d+ s") as down:
                await tools.call("web__echo", text="anyone?")
            assert not down.value.outcome_unknown
            assert (await tools.call("here__echo", text="still here")).text == "still here"
            await web.start()
            await tools.until_ready("web")
            assert (await tools.call("web__echo", text="back")).text == "back"


async def test_a_restart_between_two_calls_is_not_an_error_of_either(web: Web) -> None:
    async with running(web.config) as tools:
        await tools.until_ready("web")
        first = (await tools.call("pid")).text
        await web.kill()
        await web.start()
        await tools.until(lambda: tools.servers.health()["web"].restarts == 1)
        assert (await tools.call("pid")).text != first


async def test_a_server_that_is_down_says_where_it_was_looked_for_and_nothing_secret() -> None:
    port = free_port()
    absent = ServerConfig("absent", command=("no-such-program-anywhere", "--key", "sesame"))
    unheard = ServerConfig("unheard", url=f"http://me:sesame@127.0.0.1:{port}/sesame/mcp?key=sesame")
    async with asyncio.timeout(20), running(absent, unheard) as tools:
        said = {name: health.last_error or "" for name, health in tools.servers.health().items()}
    assert said["absent"].startswith("no-such-program-anywhere: FileNotFoundError: ")
    assert said["unheard"].startswith(f"http://127.0.0.1:{port}: MCPError: no connection: ")
    assert "sesame" not in str(said)


async def test_servers_that_never_start_keep_nobody_waiting() -> None:
    broken = ServerConfig("broken", python="tests.faulty_mcp:fail_to_start")
    absent = ServerConfig("absent", command=("no-such-program-anywhere",))
    unheard = ServerConfig("unheard", url=Web().config.url)
    async with asyncio.timeout(20), running(broken, absent, unheard, HERE) as tools:
        health = tools.servers.health()
        assert [h.state for h in health.values()] == ["down", "down", "down", "ready"]
        assert "the shelf is empty" in (health["broken"].last_error or "")
        assert health["absent"].retry_at is not None
        assert (await tools.call("echo", text="open")).text == "open"
        with pytest.raises(ToolUnavailable):
            await tools.call("something")
        assert json.loads(json.dumps(health["absent"].as_dict()))["state"] == "down"


# ---- hangs


@on_every_transport
async def test_a_hung_call_costs_only_its_slot(tools: Tools) -> None:
    hung = [asyncio.create_task(tools.call("hang", timeout=1)) for _ in range(20)]
    for number in range(20):
        assert (await tools.call("echo", text=str(number), timeout=20)).text == str(number)
    began = time.monotonic()
    ends = await asyncio.gather(*hung, return_exceptions=True)
    assert time.monotonic() - began < 15  # one after the other takes 20
    assert all(isinstance(end, ToolTimedOut) and end.outcome_unknown for end in ends)
    assert (await tools.call("echo", text="after")).text == "after"
    assert [health.restarts for health in tools.servers.health().values()] == [0]


@on_every_transport
async def test_a_reply_that_comes_too_late_is_nobody_elses(tools: Tools) -> None:
    with pytest.raises(ToolTimedOut):
        await tools.call("slow", seconds=1, timeout=0.1)
    for number in range(5):
        assert (await tools.call("slow", seconds=0.3)).text == "done"
        assert (await tools.call("echo", text=str(number))).text == str(number)


@pytest.mark.timeout(60)
@on_every_transport
async def test_an_answer_that_its_own_form_never_fits_costs_the_call_and_no_other(tools: Tools) -> None:
    asked = asyncio.create_task(tools.call("riddle"))
    assert (await tools.call("echo", text="here")).text == "here"
    assert (await asked) == tool_results.malformed()
    assert (await tools.call("echo", text="still here")).text == "still here"


@in_a_child
async def test_a_child_that_stands_still_is_ended_and_started_again(tools: Tools) -> None:
    frozen = os.pidfd_open(int((await tools.call("pid")).text))
    with pytest.raises(ToolTimedOut):
        await tools.call("freeze", timeout=0.3)
    await _ended(frozen)
    assert (await tools.call("echo", text="back", timeout=30)).text == "back"
    assert tools.servers.health()["child"].restarts == 1


async def test_a_server_over_http_that_stands_still_is_down_until_it_is_replaced(web: Web) -> None:
    async with running(web.config, HERE) as tools:
        await tools.until_ready("web")
        with pytest.raises(ToolTimedOut):
            await tools.call("web__freeze", timeout=0.3)
        await tools.until(lambda: tools.servers.health()["web"].state != "ready")
        assert (await tools.call("here__echo", text="still here")).text == "still here"
        await web.kill()
        await web.start()
        await tools.until_ready("web")
        assert (await tools.call("web__echo", text="back")).text == "back"


@on_every_transport
async def test_a_call_that_its_caller_gives_up_leaves_the_connection_in_order(tools: Tools) -> None:
    given_up = asyncio.create_task(tools.call("hang"))
    await tools.call("echo", text="it is under way")
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert (await tools.call("echo", text="after")).text == "after"


# ---- floods and noise


@on_every_transport
@pytest.mark.parametrize("letter", ["a", "€", "🙂"])
async def test_a_long_answer_is_cut_between_characters_and_marked(tools: Tools, letter: str) -> None:
    answer = await tools.call("big", n=200_000, letter=letter)
    assert answer.truncated
    assert not answer.is_error
    assert len(answer.text.encode()) <= TEXT_BYTES
    kept, marker = answer.text.split("\n")
    assert set(kept) == {letter}
    assert marker == "[cut here: 200000 characters in all]"


@on_every_transport
async def test_an_answer_that_just_fits_is_not_touched(tools: Tools) -> None:
    answer = await tools.call("big", n=TEXT_BYTES)
    assert (len(answer.text), answer.truncated) == (TEXT_BYTES, False)


@on_wires
async def test_a_huge_answer_is_not_read_and_nobody_waits_for_it(tools: Tools) -> None:
    for size in (5_000_000, 20_000_000):
        huge = asyncio.create_task(tools.call("big", n=size, timeout=20))
        longest = await _longest_stall(huge)
        answer = await huge
        assert (answer.is_error, answer.truncated) == (True, True)
        assert "larger than 4096 KB" in answer.text
        assert longest < 0.5
        assert (await tools.call("echo", text="next", timeout=20)).text == "next"


async def test_a_huge_answer_in_one_piece_of_json_is_not_read_either(web: Web) -> None:
    await web.kill()
    await web.start("--json")
    async with running(web.config) as tools:
        await tools.until_ready("web")
        assert "larger than 4096 KB" in (await tools.call("big", n=20_000_000, timeout=20)).text
        assert (await tools.call("echo", text="next")).text == "next"


@in_a_child
async def test_noise_and_answers_to_nothing_are_passed_over(tools: Tools) -> None:
    assert (await tools.call("noise", lines=500)).text == "made noise"
    assert (await tools.call("echo", text="next")).text == "next"


@in_a_child
async def test_what_a_child_writes_to_stderr_is_logged_in_bounded_lines(
    tools: Tools, caplog: pytest.LogCaptureFixture
) -> None:
    logged = asyncio.Event()

    def notice(record: logging.LogRecord) -> bool:
        if "red" in record.getMessage():
            logged.set()
        return True

    logger = logging.getLogger("parley.tools.child")
    caplog.set_level(logging.INFO, logger.name)
    logger.addFilter(notice)
    try:
        await tools.call("grumble", n=1_000_000)
        async with asyncio.timeout(20):
            await logged.wait()
    finally:
        logger.removeFilter(notice)
    assert max(len(record.getMessage()) for record in caplog.records) <= 2000
    assert not any("\x1b" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("head", "body", "words"),
    [
        (
            b"200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip",
            gzip.compress(bytes(50_000_000)),
            "packed",
        ),
        (b"200 OK\r\ncontent-type: application/json", bytes(8_000_000), "too large"),
        (b"401 Unauthorized\r\ncontent-type: text/html", b"<h1>no</h1>", "HTTP 401"),
        (b"302 Found\r\nlocation: http://127.0.0.1:9/elsewhere", b"", "not followed"),
        (b"200 OK\r\ncontent-type: text/html", b"<h1>hello</h1>", "content type"),
        (b"200 OK\r\ncontent-type: application/json", b"not json", "parse"),
        (b"", b"", "lost"),
    ],
)
async def test_an_address_that_speaks_something_else_is_down_with_the_reason(
    head: bytes, body: bytes, words: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if head:
            writer.write(b"HTTP/1.1 " + head + b"\r\nconnection: close\r\n\r\n" + body)
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener, running(ServerConfig("odd", url=f"http://127.0.0.1:{port}/mcp"), HERE) as tools:
        health = tools.servers.health()["odd"]
        assert (health.state, tools.servers.health()["here"].state) == ("down", "ready")
        assert words in (health.last_error or "")


async def test_lines_are_found_wherever_the_chunks_end() -> None:
    stream = asyncio.StreamReader()
    long = b'{"jsonrpc":"2.0","id":7,' + b"x" * 1_000_000 + b"end}"
    for chunk in (b"on", b"e\ntwo\n", b"\nth", b"ree\n", long[:70_000], long[70_000:] + b"\nafter", b" all"):
        stream.feed_data(chunk)
    stream.feed_eof()
    lines = [line async for line in bounded_lines(stream, 1000)]
    oversized = lines.pop(4)
    assert lines == [b"one", b"two", b"", b"three", b"after all"]
    assert isinstance(oversized, Oversized)
    assert oversized.head.startswith(b'{"jsonrpc":"2.0","id":7,')
    assert oversized.tail.endswith(b"end}")


# ---- what a child may see and leave behind


async def test_a_child_sees_only_the_environment_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("LANG", "C.UTF-8")
    config = ServerConfig("child", command=CHILD.command, env={"SHOP": "berlin"})
    async with running(config) as tools:
        seen = set((await tools.call("environment")).text.split())
    # A Python child adds LC_CTYPE itself.
    assert seen - {"LC_CTYPE"} == {"PATH", "HOME", "LANG", "SHOP"} & (set(os.environ) | {"SHOP"})


async def test_closing_leaves_neither_the_child_nor_what_it_started() -> None:
    async with running(CHILD) as tools:
        child = os.pidfd_open(int((await tools.call("pid")).text))
        grandchild = os.pidfd_open(int((await tools.call("spawn")).text))
    await _ended(child)
    await _ended(grandchild)


async def test_closing_in_the_middle_of_everything_is_prompt(web: Web) -> None:
    unheard = ServerConfig("unheard", url=Web().config.url)
    async with running(CHILD, web.config, unheard) as tools:
        await tools.until_ready("web")
        calls = [asyncio.create_task(tools.call("child__hang", timeout=60)) for _ in range(3)]
        await tools.call("child__echo", text="they are under way")
        began = time.monotonic()
        await tools.servers.aclose()
        assert time.monotonic() - began < 20
        ends = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(end, ToolUnavailable) for end in ends)


async def _ended(process: int) -> None:
    """Until the process of this descriptor has ended, reaped or not."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(process, ended.set)
    try:
        async with asyncio.timeout(20):
            await ended.wait()
    finally:
        loop.remove_reader(process)
        os.close(process)


async def _longest_stall(task: asyncio.Task[ToolResult]) -> float:
    """The most processor time in seconds for which the event loop served nobody else while the task ran."""
    longest, last = 0.0, time.thread_time()
    while not task.done():
        await asyncio.wait([task], timeout=0.005)
        now = time.thread_time()
        longest, last = max(longest, now - last), now
    return longest
