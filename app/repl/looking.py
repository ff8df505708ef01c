"""The slash commands that look: at the conversation, its log, the tools, the desk. Nothing here changes anything."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_core.errors import Conflict, Invalid
from agent_core.events import Logged
from app import native
from app.repl.cards import moment
from app.repl.narrator import Narrator, dollars, seconds
from app.repl.session import PAGE
from app.repl.terminal import one_line
from app.repl.transcript import Line, write

if TYPE_CHECKING:
    from agent_core.door import Summary
    from app.repl.chat import Chat


async def tools(chat: Chat, _rest: str) -> None:
    desk = await chat.door.desk(chat.who)
    width = max((len(t.name) for t in desk.tools), default=0)
    lines = []
    for tool in desk.tools:
        marks = [
            mark for mark in ("asks" if tool.approval else "", "" if tool.state == "ready" else tool.state) if mark
        ]
        about = one_line(tool.description, 70)
        marked = f"[{', '.join(marks)}] " if marks else ""
        lines.append(f"{tool.name:<{width}}  {marked}{about}".rstrip())
    chat.printer.write("\n".join([*lines, *_servers(desk.servers)]) or "no tools")


def _servers(servers: Any) -> list[str]:
    return [f"server {name}: {one_line(_words(health), 100)}" for name, health in servers.items()]


def _words(values: Any) -> str:
    return ", ".join(_word(name, value) for name, value in values.items() if value not in (None, "", [], {}))


def _word(name: str, value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"{len(value)} {name}"
    return f"{name} {moment(value) if name in ('since', 'retry_at') else value}"


async def status(chat: Chat, _rest: str) -> None:
    desk = await chat.door.desk(chat.who)
    session = chat.session
    lines = [
        f"conversation  {session.conversation}{'' if session.mine else ' (read-only)'}",
        f"team          {desk.team}: {', '.join(desk.agents)} (version {desk.version})",
        f"agent         {session.snapshot['agent']}",
        f"model         {session.snapshot['model'] or desk.model}",
        f"database      {desk.database}",
    ]
    chat.printer.write("\n".join([*lines, *_servers(desk.servers)]))


async def prompt(chat: Chat, rest: str) -> None:
    """The instructions as they are written here; of a server elsewhere they are not to be had."""
    if chat.team is None:
        raise Conflict(aloud="What its agents are told, this server keeps to itself.")
    name = rest or chat.session.snapshot["agent"]
    if name not in [agent.name for agent in chat.team.agents]:
        raise Invalid("agent", f"one of {', '.join(agent.name for agent in chat.team.agents)}")
    agent = chat.team.agent(name)
    lists = (("tools", agent.tools), ("cards", agent.deliverables), ("hands over to", agent.handoffs))
    said = [f"{label}: {', '.join(names)}" for label, names in lists if names]
    chat.printer.write(
        "\n".join(
            [f"{agent.name}: {agent.description}", *said, "", agent.instructions.strip(), chat.team.rules.strip()]
        ).rstrip()
    )


async def state(chat: Chat, _rest: str) -> None:
    s = chat.session.snapshot
    shown = {k: s[k] for k in ("agent", "model", "language", "mode", "floor", "turn", "open", "state", "forked_from")}
    shown["cards"] = [
        f"{i['id']} {i['type']} v{i['version']} {i['status']}" for i in s["items"] if i["kind"] == "deliverable"
    ]
    chat.printer.write(json.dumps(shown, indent=2, ensure_ascii=False))


async def usage(chat: Chat, _rest: str) -> None:
    used, last = chat.session.snapshot["usage"], chat.session.snapshot["last_turn"] or {}
    cached = f" ({used['cached_tokens']} cached)" if used["cached_tokens"] else ""
    unpriced = f", and {used['unpriced']} without a known price" if used.get("unpriced") else ""
    lines = [
        f"{used['turns']} turns, {used['requests']} requests",
        f"{used['input_tokens']}{cached} + {used['output_tokens']} tokens",
        f"{dollars(used['cost_microdollars'])}{unpriced}",
    ]
    if "milliseconds" in last:
        first = last.get("first_token_ms")
        lines.append(
            f"last turn: {f'first word {seconds(first)}, ' if first is not None else ''}in all {seconds(last['milliseconds'])}"
        )
    chat.printer.write("\n".join(lines))


async def history(chat: Chat, rest: str) -> None:
    lines = told(await _log(chat))
    if rest and not rest.isdigit():
        raise Invalid("lines", "write a number, or nothing")
    chat.printer.write(write(lines[-int(rest) :] if rest else lines).rstrip("\n") or "nothing yet")


async def inspect(chat: Chat, rest: str) -> None:
    log = await _log(chat)
    if rest.isdigit():
        chosen = [logged for logged in log if logged.seq == int(rest)]
        chat.printer.write(
            "\n".join(json.dumps(native.to_dict(one), indent=2, ensure_ascii=False) for one in chosen)
            or "no such event"
        )
        return
    since = 0 if rest == "all" else _last_turn(log)
    chat.printer.write("\n".join(_event(one, log[0].at) for one in log if one.seq >= since))


def _last_turn(log: list[Logged]) -> int:
    starts = [one.seq for one in log if one.event.type in ("message.added", "deliverable.decided")]
    return starts[-1] if starts else 0


def _event(logged: Logged, began: int) -> str:
    values = {k: v for k, v in native.to_dict(logged).items() if k not in ("seq", "at", "type")}
    words = one_line(json.dumps(values, ensure_ascii=False), 400)
    return f"{logged.seq:>4} {(logged.at - began) / 1000:>9.3f}  {logged.event.type:<22} {words}"


async def list_(chat: Chat, rest: str) -> None:
    asked = re.fullmatch(r"(all\b)? *(\d*)", rest)
    if asked is None:
        raise Invalid("count", "write a number, all, or nothing")
    all_, count = asked[1] is not None, int(asked[2] or 20)
    listed = await chat.door.list(chat.who, count, own=not all_)
    # An older server tells of others', too.
    lines = [_listed(chat, one) for one in listed if all_ or one.owner == chat.who.subject]
    nothing = "none yet" if all_ else "none of yours yet; /list all shows everybody's"
    chat.printer.write("\n".join(lines) or nothing)


def _listed(chat: Chat, one: Summary) -> str:
    when = datetime.fromtimestamp(one.updated_at / 1000, UTC).strftime("%m-%d %H:%M")
    owner = "yours" if one.owner == chat.who.subject else one_line(one.owner, 24)
    here = "*" if one.conversation == chat.session.conversation else " "
    return f"{here} {one.conversation}  {when}  {owner}  {one_line(one.title, 60)}".rstrip()


async def export(chat: Chat, rest: str) -> None:
    log = await _log(chat)
    if rest.endswith(".json"):
        text = json.dumps([native.to_dict(one) for one in log], ensure_ascii=False, indent=1) + "\n"
    else:
        text = write(told(log))
    if not rest:
        chat.printer.write(text.rstrip("\n"))
        return
    try:
        await asyncio.to_thread(Path(rest).write_text, text, encoding="utf-8")
    except OSError as error:
        raise Conflict(aloud=f"{rest} can't be written: {error.strerror}") from None
    chat.printer.write(f"{len(log)} events in {rest}")


async def _log(chat: Chat) -> list[Logged]:
    log: list[Logged] = []
    while page := await chat.door.history(chat.who, chat.session.conversation, log[-1].seq if log else 0, PAGE):
        log += page
    return log


def told(log: list[Logged]) -> list[Line]:
    narrator = Narrator()
    return [one for logged in log for one in narrator.tell(logged) if isinstance(one, Line)]
