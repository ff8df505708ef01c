"""The tool gateway: the only way to call a tool, from a text turn, the pipeline or realtime voice.

Schema check, approval, journal row, time limit, breaker, outcome: in that order, for every call. What goes wrong is
told to the model in words, as the call's output; the turn goes on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import jsonschema
from referencing import Registry
from sqlalchemy.engine import Connection

from agent_core import cpu_time, deliverable_rows, journal
from agent_core.breaker import Breaker
from agent_core.coverage import covered
from agent_core.database import Database
from agent_core.deliverable import Deliverable
from agent_core.errors import ParleyError, ToolError, ToolTimedOut, ToolUnavailable
from agent_core.events import Event, Logged, ToolFinished
from agent_core.feed import Feeds
from agent_core.journal import Call
from agent_core.team import USUAL, Agent, Team, ToolRule
from agent_core.text import wellformed
from agent_core.tool_servers import CUSTOMER, ToolDefinition, ToolServers
from agent_core.turn_rows import Lease

logger = logging.getLogger("parley.gateway")

#: What the model reads of one result. Larger ones crowd out the conversation (OWASP LLM06:2026).
OUTPUT_BYTES = 64 * 1024
ARGUMENT_BYTES = 64 * 1024
#: A model may invent a name of any length.
NAME = 100
#: Names alone: the language of `str.format` reaches into objects, and fills a gigabyte with blanks.
HOLE = re.compile(r"\{([^{}]*)\}")
#: Of computing, for one call's arguments: a server writes its schema, with patterns and cases as it likes.
CHECK_SECONDS = 0.25
UNCHECKED = (
    "The arguments can't be checked, and so were not taken: send fewer, shorter and flatter ones, or go on without it."
)
TOO_LATE = "The turn was over before this was ready. It was not shown."
DENIED = "This needs the customer's confirmation, which was not given. It was not done."


class Caller(Protocol):
    """Whoever a call is made for: a running turn."""

    lease: Lease
    team: Team
    agent: str
    language: str

    def words(self) -> AbstractAsyncContextManager[list[Event]]:
        """What was said until now, to be logged before a call. Of calls that begin at once the first gets it, and the
        others wait until it is through: it is on disk then."""


@dataclass(frozen=True, eq=False)
class Tool:
    """A tool as the model is offered it. The same one as long as its server, and the owner, say the same of it."""

    name: str
    description: str
    schema: Mapping[str, Any]
    rule: ToolRule
    deliverable: Deliverable[Any, Any] | None = None

    @property
    def kind(self) -> str:
        return "deliverable" if self.deliverable else "tool"


@dataclass(frozen=True, slots=True)
class Result:
    """Status as in ToolFinished; `showing` is stored in the same transaction as the outcome."""

    status: str
    output: str
    showing: deliverable_rows.Showing | None = None


def _pattern(validator: Any, pattern: str, text: Any, _schema: Any) -> Iterator[jsonschema.ValidationError]:
    """Those of another dialect, such as JavaScript's `\\p{L}`, are for the tool's server to check."""
    try:
        if validator.is_type(text, "string") and not re.search(pattern, text):
            yield jsonschema.ValidationError(f"{text!r} does not match {pattern!r}")
    except re.error:
        return


#: What a schema refers to stands in it; left alone, the library asks any address for it, and waits.
NOTHING_ELSE: Registry[Any] = Registry()
Validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": _pattern})


class Gateway:
    def __init__(
        self,
        servers: ToolServers,
        deliverables: Mapping[str, Deliverable[Any, Any]],
        database: Database,
        feeds: Feeds,
    ) -> None:
        self._servers, self._deliverables = servers, deliverables
        self._database, self._feeds = database, feeds
        self._breakers: dict[str, Breaker] = {}
        self._tools: dict[str, tuple[ToolDefinition | Deliverable[Any, Any], Tool]] = {}
        self._validators: dict[str, tuple[Mapping[str, Any], Any]] = {}
        self._running: set[asyncio.Task[Any]] = set()

    # ---- what is on offer

    def offered(self, team: Team, agent: Agent) -> list[Tool]:
        """The tools of an agent that can be called now; what is out of order is not offered at all."""
        defined = {d.name: d for d in self._servers.tools()}
        tools = [self._tool(team, defined[name]) for name in agent.tools if name in defined and not self._resting(name)]
        shown = [self._deliverables[name] for name in agent.deliverables if name in self._deliverables]
        return [*tools, *(self._tool(team, deliverable) for deliverable in shown)]

    def missing(self, names: Sequence[str]) -> list[str]:
        defined = {d.name for d in self._servers.tools()}
        return [name for name in names if name not in defined or self._resting(name)]

    def find(self, team: Team, name: str) -> Tool | None:
        """With the rule that this version of the team has for it."""
        if name in self._deliverables:
            return self._tool(team, self._deliverables[name])
        return next((self._tool(team, d) for d in self._servers.tools() if d.name == name), None)

    def _tool(self, team: Team, what: ToolDefinition | Deliverable[Any, Any]) -> Tool:
        rule = team.rule(what.name)
        source, made = self._tools.get(what.name, (None, None))
        if made is None or source is not what or made.rule is not rule:
            shown = what if isinstance(what, Deliverable) else None
            made = Tool(what.name, what.description, what.schema, rule, shown)
            self._tools[what.name] = (what, made)
        return made

    def _resting(self, name: str) -> bool:
        breaker = self._breakers.get(name)
        return breaker is not None and breaker.resting

    # ---- before a call

    def problem(self, tool: Tool, arguments: Any) -> str | None:
        """Why these arguments can't be taken, in words the model can act on; None when they can."""
        if not isinstance(arguments, dict):
            return "The arguments must be a JSON object."
        try:
            with cpu_time.at_most(CHECK_SECONDS):
                error = next(self._validator(tool).iter_errors(arguments), None)
        except Exception as broken:  # what a schema that is none, or refers to itself, makes of the validator
            logger.warning("tool %s: its schema can't be followed: %s", tool.name, type(broken).__name__)
            return UNCHECKED
        if error is None:
            return None
        place = ".".join(str(part) for part in error.absolute_path)
        return f"{place}: {error.message}"[:500] if place else error.message[:500]

    def takes(self, team: Team, name: str, raw: str, *, clients: bool = False) -> bool:
        """Of a tool of the client's only whether they can be read."""
        tool = self.find(team, name)
        return (clients or tool is not None) and self._parse(tool, raw)[1] is None

    def _validator(self, tool: Tool) -> Any:
        known = self._validators.get(tool.name)
        if known is None or (known[0] is not tool.schema and known[0] != tool.schema):
            closed = {**tool.schema, "additionalProperties": False}
            known = (tool.schema, Validator(closed, registry=NOTHING_ELSE))
            self._validators[tool.name] = known
        return known[1]

    async def needs_approval(self, tool: Tool, arguments: Mapping[str, Any], conversation: str) -> bool:
        """Whether the customer must say yes first. Wrong arguments need no yes: they are answered at once."""
        if not tool.rule.approval or self.problem(tool, arguments) is not None:
            return False
        return not await self._database.read(
            lambda c: covered(c, conversation, tool.name, tool.rule, arguments, begun=False)
        )

    # ---- the call

    async def call(self, caller: Caller, name: str, raw: str, call_id: str) -> str:
        """Run one call of a turn; what the model reads of it. Raises Fenced when the turn is no longer ours."""
        tool = self.find(caller.team, name)
        arguments, problem = self._parse(tool, raw)
        call = self._call(caller, name, tool, arguments, call_id)
        if tool is None or problem is not None:
            call, _ = await self._begin(caller, call, USUAL, arguments)
            return await self._refuse(call, problem or f"There is no tool {name!r} at the moment.")
        call, allowed = await self._begin(caller, call, tool.rule, arguments)
        return await self._run(tool, call, arguments) if allowed else await self._refuse(call, DENIED)

    def _parse(self, tool: Tool | None, raw: str) -> tuple[dict[str, Any], str | None]:
        if len(raw) > ARGUMENT_BYTES:
            return {}, "The arguments are too large."
        try:
            arguments = json.loads(raw or "{}")
            journal.canonical(arguments)
        except (ValueError, RecursionError):
            return {}, "The arguments are not valid JSON. Send one JSON object."
        if not isinstance(arguments, dict):
            return {}, "The arguments must be a JSON object."
        return arguments, self.problem(tool, arguments) if tool is not None else None

    def _call(self, caller: Caller, name: str, tool: Tool | None, arguments: dict[str, Any], call_id: str) -> Call:
        rule = tool.rule if tool else USUAL
        return Call(
            caller.lease.conversation,
            caller.lease.turn,
            journal.call_id(call_id),
            caller.agent,
            name[:NAME],
            journal.canonical(arguments),
            tool.kind if tool else "tool",
            rule.idempotent,
            title(rule, arguments, caller.language),
            caller.lease.customer,
        )

    async def _begin(
        self, caller: Caller, call: Call, rule: ToolRule, arguments: Mapping[str, Any]
    ) -> tuple[Call, bool]:
        """The call as the journal has it, and whether it may run. Of two at once one is looked at after the other."""
        async with caller.words() as said:
            if said:
                return await self._journal(caller, call, rule, arguments, said)
        return await self._journal(caller, call, rule, arguments, [])

    async def _journal(
        self, caller: Caller, call: Call, rule: ToolRule, arguments: Mapping[str, Any], before: list[Event]
    ) -> tuple[Call, bool]:
        def work(connection: Connection) -> tuple[Call, list[Logged], bool]:
            begun, logged = journal.begin(connection, caller.lease, call, before)
            at = (connection, call.conversation, call.tool)
            return begun, logged, not rule.approval or covered(*at, rule, arguments, begun=True)

        begun, _, allowed = await self._database.write(work, lambda out: self._feeds.publish(call.conversation, out[1]))
        return begun, allowed

    async def _refuse(self, call: Call, problem: str) -> str:
        await self._finish(call, Result("error", problem), time.monotonic())
        return problem

    async def _run(self, tool: Tool, call: Call, arguments: Mapping[str, Any]) -> str:
        """To its end, even when whoever waits for it is gone: a call that has begun has an outcome."""
        task = asyncio.create_task(self._attempt(tool, call, arguments))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _attempt(self, tool: Tool, call: Call, arguments: Mapping[str, Any]) -> str:
        started = time.monotonic()
        result = await self._outcome(tool, call, arguments)
        await self._finish(call, result, started)
        return result.output

    async def _outcome(self, tool: Tool, call: Call, arguments: Mapping[str, Any]) -> Result:
        breaker = self._breakers.setdefault(tool.name, Breaker())
        try:
            breaker.check()
        except ParleyError:
            return Result("error", f"{tool.name} is out of order at the moment. Do not offer it; go on without it.")
        try:
            result = await self._execute(tool, call, arguments)
        except (ToolTimedOut, TimeoutError):
            breaker.failed()
            return self._lost(call, "timeout", f"No answer within {tool.rule.timeout:g} seconds.")
        except ToolUnavailable as error:
            breaker.failed()
            lost = error.outcome_unknown
            return self._lost(call, "unknown", str(error)) if lost else Result("error", str(error))
        except ToolError as error:
            breaker.succeeded()
            return Result("error", _bounded(str(error)))
        except Exception:
            logger.exception("tool %s broke", tool.name)
            breaker.failed()
            return Result("error", "The tool failed for a reason of its own. It may be tried once more.")
        breaker.succeeded()
        return result

    def _lost(self, call: Call, status: str, words: str) -> Result:
        if call.idempotent or call.kind == "deliverable":
            return Result(status, f"{words} It can safely be called again with the same arguments.")
        return Result("unknown", f"{words} {journal.UNKNOWN}")

    async def _execute(self, tool: Tool, call: Call, arguments: Mapping[str, Any]) -> Result:
        if tool.deliverable is not None:
            async with asyncio.timeout(tool.rule.timeout):
                return await self._show(tool.deliverable, call, arguments)
        answer = await self._servers.call(tool.name, dict(arguments), timeout=tool.rule.timeout, meta=_meta(call))
        return Result("error" if answer.is_error else "ok", _bounded(answer.text))

    async def _show(self, deliverable: Deliverable[Any, Any], call: Call, arguments: Mapping[str, Any]) -> Result:
        ask = deliverable.read(arguments)
        payload = await deliverable.prepare(ask, _Business(self._servers, call))
        showing = deliverable_rows.Showing(
            call.conversation,
            call.turn,
            call.call,
            deliverable.name,
            payload.model_dump(mode="json"),
            deliverable.subject(ask, payload),
            tuple(deliverable.answers),
            deliverable.expires_at(payload),
        )
        said = {"shown": True, "summary": deliverable.aloud(payload)}
        return Result("ok", _bounded(json.dumps(said, ensure_ascii=False)), showing)

    async def _finish(self, call: Call, result: Result, started: float) -> None:
        milliseconds = round((time.monotonic() - started) * 1000)
        finished = ToolFinished(call.call, result.status, result.output, milliseconds)

        def work(connection: Connection) -> list[Logged]:
            if result.showing is None:
                return journal.finish(connection, call, finished)
            shown = deliverable_rows.show(connection, result.showing)
            if shown is None:
                return journal.finish(connection, call, replace(finished, status="error", output=TOO_LATE))
            return journal.finish(connection, call, finished, [shown])

        await self._database.write(work, lambda logged: self._feeds.publish(call.conversation, logged))

    # ---- after a crash or a decision

    async def settle(self, caller: Caller) -> None:
        """Give every open call of a resumed turn its outcome: run what was approved, retry what may be retried."""
        open_calls = await self._database.read(lambda connection: journal.unsettled(connection, caller.lease.turn))
        for call, status in open_calls:
            match status:
                case "approved":
                    await self._run_approved(caller, call)
                case "started":
                    await self._settle_started(caller, call)

    async def _run_approved(self, caller: Caller, call: Call) -> None:
        begun = await self._database.write(lambda connection: journal.begin_approved(connection, caller.lease, call))
        if begun:
            await self._again(caller, call, "It was not done.", "error")

    async def _settle_started(self, caller: Caller, call: Call) -> None:
        if call.idempotent or call.kind == "deliverable":
            await self._again(caller, call, journal.UNKNOWN, "unknown")
        else:
            await self._finish(call, Result("unknown", journal.UNKNOWN), time.monotonic())

    async def _again(self, caller: Caller, call: Call, otherwise: str, status: str) -> None:
        """Run it with its key; `otherwise` ends its outcome when the tool is gone by now, or takes other arguments."""
        tool, arguments = self.find(caller.team, call.tool), json.loads(call.arguments)
        changed = self.problem(tool, arguments) if tool is not None else None
        if tool is None:
            await self._finish(call, Result(status, f"{call.tool} is out of order. {otherwise}"), time.monotonic())
        elif changed is not None:
            words = f"{call.tool} takes other arguments by now ({changed}). {otherwise}"
            await self._finish(call, Result(status, words), time.monotonic())
        else:
            await self._run(tool, replace(call, customer=caller.lease.customer), arguments)

    async def aclose(self) -> None:
        """Wait for the calls under way; each has a time limit of its own."""
        if self._running:
            await asyncio.wait(self._running)


class _Business:
    """The business's read-only tools, as a deliverable prices itself with them."""

    def __init__(self, servers: ToolServers, call: Call) -> None:
        self._servers, self._call = servers, call

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> Any:
        answer = await self._servers.call(tool, dict(arguments), timeout=10, meta=_meta(self._call))
        if answer.is_error:
            raise ToolError(answer.text)
        return answer.structured if answer.structured is not None else json.loads(answer.text)


def _meta(call: Call) -> dict[str, str]:
    meta = {"parley/idempotency-key": call.key, "parley/conversation": call.conversation}
    return meta if call.customer is None else meta | {CUSTOMER: call.customer}


def _bounded(text: str) -> str:
    text = wellformed(text)
    raw = text.encode()
    if len(raw) <= OUTPUT_BYTES:
        return text
    return raw[:OUTPUT_BYTES].decode(errors="ignore") + f"\n[cut: {len(raw)} bytes in all]"


def title(rule: ToolRule, arguments: Mapping[str, Any], language: str) -> str | None:
    """What the customer reads while the tool runs; a title with a hole that can't be filled is left out."""
    template = rule.title.get(language) or rule.title.get("en")
    if template is None:
        return None
    try:
        return HOLE.sub(lambda hole: str(arguments[hole[1]])[:80], template)
    except KeyError:
        return None
