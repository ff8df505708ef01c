"""One MCP server under supervision: connected by one task, watched, left and connected anew when it is lost."""

from __future__ import annotations

import asyncio
import importlib
import logging
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, cast

import anyio
from mcp import Client, MCPError
from mcp.client.subscriptions import SubscriptionLost
from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST, RequestParamsMeta, Tool, ToolListChangedNotification
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from agent_core import cpu_time, tool_results
from agent_core.errors import ToolError, ToolTimedOut, ToolUnavailable
from agent_core.mcp_http import EVENT_TOO_LARGE, MESSAGE_BYTES, NOT_SENT, TOO_LARGE, http_streams
from agent_core.mcp_stdio import Child
from agent_core.text import one_line
from agent_core.tool_definitions import ToolDefinition, define
from agent_core.tool_results import ToolResult

logger = logging.getLogger("parley.tools")

# Longer than the library waits before it takes a silent server for one of the older protocol.
CONNECT_SECONDS = 15
LEAVE_SECONDS = 6
# How long a call waits for a server that is just being connected again: a Python child needs about 1 s.
PATIENCE_SECONDS = 5
# A quiet server is looked at this often, a suspect one at once.
CHECK_SECONDS = 30
PROBE_SECONDS = 2
# A server may announce changes without end; it is read anew at most ten times a second.
REST_SECONDS = 0.1
# A connection that ends sooner, without having served a call, counts as a failed attempt.
SHORT_LIFE_SECONDS = 5
MOST_TOOLS = 256
# Of computing, for one answer: the library holds it against the form that the server declares, with patterns as it likes.
ANSWER_SECONDS = 0.5

State = Literal["connecting", "ready", "down"]


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One of `python` ("package.module:factory" of an in-process server), `command` (a child), `url` (HTTP)."""

    name: str
    python: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    command: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    identity: bool = False  # its tools are told who is signed in

    @property
    def where(self) -> str:
        """For its owner to know it by; of an address or a command nothing that may be a secret."""
        if self.url is not None:
            scheme, _, rest = self.url.partition("://")
            return f"{scheme}://{rest.partition('/')[0].partition('?')[0].rpartition('@')[2]}"
        return self.command[0] if self.command else str(self.python)


@dataclass(frozen=True, slots=True)
class Health:
    """How a server is. `last_error` outlives the recovery; `withheld` maps a tool to the reason why nobody gets it."""

    state: State
    since: datetime
    last_error: str | None = None
    restarts: int = 0
    retry_at: datetime | None = None
    tools: tuple[str, ...] = ()
    withheld: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times in ms since the epoch."""
        return {
            "state": self.state,
            "since": _ms(self.since),
            "last_error": self.last_error,
            "restarts": self.restarts,
            "retry_at": self.retry_at and _ms(self.retry_at),
            "tools": list(self.tools),
            "withheld": dict(self.withheld),
        }


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def backoff(failures: int) -> float:
    """Seconds until the next attempt: 0.2 to 30, doubling, and spread so that clients do not march in step."""
    return float(min(30.0, 0.2 * 2 ** min(failures, 10)) * random.uniform(0.7, 1.0))


class Connection:
    """`changed` is called whenever the health or the list of tools may have changed."""

    def __init__(
        self,
        config: ServerConfig,
        *,
        pins: dict[str, str],
        clock: Callable[[], datetime],
        backoff: Callable[[int], float],
        changed: Callable[[], None],
    ) -> None:
        self.config = config
        self.definitions: tuple[ToolDefinition, ...] = ()
        self.seen: tuple[ToolDefinition, ...] = ()  # also those that have changed
        self.settled = asyncio.Event()
        self._pins, self._clock, self._backoff, self._changed = pins, clock, backoff, changed
        self._state: State = "connecting"
        self._since = clock()
        self._last_error: str | None = None
        self._retry_at: datetime | None = None
        self._unfit: dict[str, str] = {}
        self._withheld: dict[str, str] = {}
        self._lives = self._failures = self._served = self._in_flight = 0
        self._client: Client | None = None
        self._child: Child | None = None
        self._scope: anyio.CancelScope | None = None
        self._wake = asyncio.Event()
        self._suspect = self._closing = False
        self._ended: str | None = None
        self._log = logger.getChild(config.name)

    @property
    def ready(self) -> bool:
        return self._state == "ready"

    @property
    def offered(self) -> bool:
        """Its tools may be called: it is ready, or was a moment ago and calls wait for it to be so again."""
        return self._state != "down"

    @property
    def health(self) -> Health:
        return Health(
            self._state,
            self._since,
            self._last_error,
            max(self._lives - 1, 0),
            self._retry_at,
            tuple(d.name for d in self.definitions) if self.offered else (),
            dict(self._withheld),
        )

    # ---- the life of a connection, all in one task: anyio's scopes are left by the task that entered them

    async def run(self) -> None:
        """Connect, stay, and connect again, until `close` is called."""
        while not self._closing:
            began, lives = anyio.current_time(), self._lives
            await self._live()
            if self._closing:
                break
            lived = self._lives > lives and (self._served or anyio.current_time() - began > SHORT_LIFE_SECONDS)
            self._failures = 0 if lived else self._failures + 1
            await self._pause()
        self._enter("down")

    def close(self) -> None:
        """Ask the task in `run` to leave politely; it returns soon."""
        self._closing = True
        self._wake.set()
        if self._scope is not None:
            self._scope.deadline = anyio.current_time() + (LEAVE_SECONDS if self._client else 0)

    async def _live(self) -> None:
        self._ended, self._suspect, self._served = None, False, 0
        self._wake.clear()
        # A single scope with a deadline that moves: one around the connecting alone would be left before the client's.
        self._scope = anyio.CancelScope(deadline=anyio.current_time() + CONNECT_SECONDS)
        try:
            with self._scope:
                async with self._new_client() as client:
                    self._take(await _listing(client))
                    self._scope.deadline = math.inf
                    self._begin(client)
                    await self._stay(client)
                    # Taking leave of a server that stands still must not last.
                    self._scope.deadline = anyio.current_time() + LEAVE_SECONDS
        except Exception as error:
            self._ended = self._ended or _words(error)
        finally:
            self._client = self._child = self._scope = None
        if not self._closing:
            words = self._ended or f"did not connect within {CONNECT_SECONDS} seconds"
            self._last_error = f"{self.config.where}: {words}"
            self._log.warning("%s", self._last_error)

    def _new_client(self) -> Client:
        config = self.config
        server: Any
        if config.command is not None:
            self._child = Child(config.command, config.env, self._log, self._lost)
            server = self._child.streams()
        elif config.url is not None:
            server = http_streams(config.url, config.headers)
        else:
            module, _, factory = (config.python or "").partition(":")
            server = getattr(importlib.import_module(module), factory)(**config.options)
        return Client(server, message_handler=self._hear, cache=None)

    def _begin(self, client: Client) -> None:
        self._client = client
        self._lives += 1
        self._enter("ready")

    async def _stay(self, client: Client) -> None:
        """Until the connection is lost or closed; looks after it whenever something is suspect, and now and then."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._subscribe, client)
            while not (self._ended or self._closing):
                with anyio.move_on_after(CHECK_SECONDS):
                    await self._wake.wait()
                self._wake.clear()
                # A server that works on one call at a time is not asked while it does.
                if not self._closing and self._ended is None and (self._suspect or not self._in_flight):
                    self._suspect = False
                    await self._check(client)
                    await anyio.sleep(REST_SECONDS)
            tasks.cancel_scope.cancel()

    async def _check(self, client: Client) -> None:
        """Read the list of tools anew, which is also the question whether the server still answers."""
        try:
            with anyio.fail_after(PROBE_SECONDS):
                self._take(await _listing(client))
        except TimeoutError:
            self._lost(f"does not answer within {PROBE_SECONDS} seconds")
            if self._child is not None:
                self._child.hung = True
        except (MCPError, ValidationError, ToolError, RuntimeError, anyio.ClosedResourceError) as error:
            self._lost(_words(error))
        self._changed()

    async def _subscribe(self, client: Client) -> None:
        """Newer servers tell of changes on a stream of its own. When it ends the regular look has to do."""
        tools = client.server_capabilities.tools
        if client.protocol_version not in MODERN_PROTOCOL_VERSIONS or not (tools and tools.list_changed):
            return
        try:
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self._look()
        except (MCPError, SubscriptionLost, TimeoutError) as error:
            self._log.debug("no subscription: %s", _words(error))
        self._look()

    async def _hear(self, message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._look()

    async def _pause(self) -> None:
        seconds = self._backoff(self._failures)
        self._retry_at = self._clock() + timedelta(seconds=seconds)
        # The first attempt after a loss is about to happen: calls wait for it. After that they are told to come back.
        self._enter("connecting" if self._failures == 0 else "down")
        with anyio.move_on_after(seconds):
            while not self._closing:
                await self._wake.wait()
                self._wake.clear()
        self._retry_at = None

    def _enter(self, state: State) -> None:
        if state != self._state:
            self._state, self._since = state, self._clock()
        if state == "connecting":
            self.settled.clear()
        else:
            self.settled.set()
        self._changed()

    def _look(self) -> None:
        self._suspect = True
        self._wake.set()

    def _lost(self, words: str) -> None:
        """From now on calls wait for the next connection; the task in `run` makes it."""
        self._ended = self._ended or words
        if self._client is not None:
            self._client = None
            self._enter("connecting")
        self._wake.set()

    # ---- the tools

    def _take(self, tools: list[Tool]) -> None:
        seen: list[ToolDefinition] = []
        self._unfit = {}
        for tool in tools:
            try:
                seen.append(define(self.config.name, tool))
            except ValueError as error:
                self._unfit[one_line(tool.name, 80)] = str(error)
        self.seen = tuple(seen)
        self.sort()

    def sort(self) -> None:
        """By the pins as they are now. The first sight of a tool pins it, unless it has a pin."""
        kept, changed = [], {}
        for definition in self.seen:
            if self._pins.setdefault(definition.key, definition.pin) == definition.pin:
                kept.append(definition)
            else:
                changed[definition.called] = f"changed: waits for the owner's approval (pin {definition.pin})"
        self.definitions, self._withheld = tuple(kept), self._unfit | changed

    # ---- calls, each in the task of its caller

    async def call(
        self, tool: str, arguments: Mapping[str, Any], *, seconds: float, meta: Mapping[str, str]
    ) -> ToolResult:
        """Raises ToolUnavailable, ToolTimedOut or ToolError."""
        sent = False
        with anyio.CancelScope(deadline=anyio.current_time() + seconds):
            for _ in range(2):
                client = await self._connected()
                try:
                    sent = True
                    return await self._ask(client, tool, arguments, meta)
                except _NotSent:
                    # The server went while nobody looked. The call did not happen, so it is safe to make it again.
                    sent = False
            raise self._down()
        if not sent:
            raise self._down()
        self._look()
        raise ToolTimedOut(f"{tool} did not answer within {seconds:g} seconds.", outcome_unknown=True)

    async def _connected(self) -> Client:
        if self._client is None and self._state == "connecting":
            with anyio.move_on_after(PATIENCE_SECONDS):
                await self.settled.wait()
        if self._client is None:
            raise self._down()
        return self._client

    def _down(self) -> ToolUnavailable:
        return ToolUnavailable(f"The server of this tool is down. {self._when()}")

    async def _ask(
        self, client: Client, tool: str, arguments: Mapping[str, Any], meta: Mapping[str, str]
    ) -> ToolResult:
        self._served += 1
        self._in_flight += 1
        try:
            asked = client.call_tool(tool, dict(arguments), meta=cast(RequestParamsMeta, {**meta}))
            return tool_results.read_result(await cpu_time.each_step(ANSWER_SECONDS, asked))
        except MCPError as error:
            return self._refused(error)
        except (RuntimeError, ValidationError, anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
            if self._client is not client:
                raise _unknown() from None
            self._log.warning("%s: %s", tool, _words(error))
            return tool_results.malformed()
        except cpu_time.CpuTimeSpent:
            self._log.warning("%s: its answer can't be checked in %g seconds", tool, ANSWER_SECONDS)
            return tool_results.malformed()
        finally:
            self._in_flight -= 1

    def _when(self) -> str:
        if self._retry_at is None:
            return "It is being connected again."
        seconds = max((self._retry_at - self._clock()).total_seconds(), 0)
        return f"It is tried again in {math.ceil(seconds)} s."

    def _refused(self, error: MCPError) -> ToolResult:
        """What an error of the protocol means for the call."""
        if error.code == TOO_LARGE or EVENT_TOO_LARGE in error.message:
            return tool_results.too_large(MESSAGE_BYTES)
        # A restarted server of the older protocol does not know the session.
        if error.code == NOT_SENT or (error.code == INVALID_REQUEST and error.message == "Session terminated"):
            self._lost(error.message)
            raise _NotSent from None
        if error.code == CONNECTION_CLOSED:
            self._look()
            raise _unknown() from None
        raise ToolError(error.message[:500]) from None


class _NotSent(Exception):
    """The call certainly did not reach the server."""


def _unknown() -> ToolUnavailable:
    return ToolUnavailable("The connection was lost; what the call did is not known.", outcome_unknown=True)


async def _listing(client: Client) -> list[Tool]:
    tools: list[Tool] = []
    cursor: str | None = None
    while len(tools) <= MOST_TOOLS:
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            return tools
    raise ToolError(f"lists more than {MOST_TOOLS} tools")


def _words(error: BaseException) -> str:
    """The innermost cause in a line: a task group wraps what happened in it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return one_line(f"{type(error).__name__}: {error}".split("\n", 1)[0], 300)
