"""The slash commands that act on a conversation; those that only look are in looking.py."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_core.door import ClientTool, Principal
from agent_core.errors import Conflict, Invalid, NotFound
from app.repl import looking
from app.repl.cards import takes_data
from app.repl.chat import Chat, Quit
from app.repl.transcript import Line

AN_OBJECT = 'write an object, such as {"reason": "lost"}'
_STOP = re.compile(r'after "(.+)"$', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """`acts`: it changes the conversation, so a recording keeps it."""

    name: str
    arguments: str
    help: str
    run: Callable[[Chat, str], Awaitable[None]]
    acts: bool = False


def find(text: str) -> tuple[Command, str]:
    """The command of a line that begins with a slash, and the rest of the line. Raises Invalid."""
    name, _, rest = text[1:].partition(" ")
    if name not in COMMANDS:
        raise Invalid("command", f"there is no /{name}; /help lists what there is")
    return COMMANDS[name], rest.strip()


async def act(chat: Chat, line: Line) -> None:
    """Do what a `you` or `oper` line says; returns when that has settled. Raises ParleyError, Quit."""
    if line.text.startswith("/say "):
        line = Line("oper", line.text.removeprefix("/say ").strip())
    if line.text.startswith("/"):
        command, rest = find(line.text)
        (chat.session if command.acts else chat.printer).typed(line)
        await command.run(chat, rest)
    elif line.kind == "oper":
        chat.session.typed(line)
        await chat.session.reply(chat.operator, line.text)
    elif line.text.strip():
        chat.session.typed(line)
        await chat.session.say(line.text)


async def act_all(chat: Chat, lines: Sequence[Line]) -> None:
    """The first, and while it still runs the others (each a stop)."""
    first = asyncio.create_task(act(chat, lines[0]))
    try:
        for line in lines[1:]:
            await chat.session.until(lambda: first.done() or chat.session.running)
            await act(chat, line)
        await first
    finally:
        first.cancel()


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Invalid("json", f"not JSON ({error}): {AN_OBJECT}") from None
    if not isinstance(value, dict):
        raise Invalid("json", AN_OBJECT)
    return value


# ---- what waits


async def approve(chat: Chat, rest: str) -> None:
    asked = _asked(chat)
    edited = {**json.loads(asked["arguments"]), **_object(rest)} if rest else None
    await chat.session.decide(asked["id"], "approve", edited)


async def reject(chat: Chat, _rest: str) -> None:
    await chat.session.decide(_asked(chat)["id"], "reject")


def _asked(chat: Chat) -> dict[str, Any]:
    if not chat.session.open_interrupts:
        raise Conflict(aloud="Nothing waits for a yes or a no.")
    return chat.session.open_interrupts[0]


async def accept(chat: Chat, _rest: str) -> None:
    await _decide(chat, "accept", None)


async def decline(chat: Chat, _rest: str) -> None:
    await _decide(chat, "decline", None)


async def decide(chat: Chat, rest: str) -> None:
    decision, _, answer = rest.partition(" ")
    await _decide(chat, decision, _object(answer) if answer.strip() else None)


async def _decide(chat: Chat, decision: str, answer: dict[str, Any] | None) -> None:
    for item in reversed(chat.session.open_deliverables):
        if decision in item["answers"]:
            return await chat.session.decide_deliverable(item, decision, answer)
    raise Conflict(aloud=f"No card here takes {decision!r}.")


async def answer(chat: Chat, rest: str) -> None:
    """A call of the client's own tool, if one waits; else the newest card that takes data, or the answer it names."""
    if chat.session.open_calls:
        return await chat.session.answer_call(chat.session.open_calls[0]["id"], rest)
    if any(rest.partition(" ")[0] in item["answers"] for item in chat.session.open_deliverables):
        return await decide(chat, rest)
    for item in reversed(chat.session.open_deliverables):
        takes = [a for a in item["answers"] if takes_data(item["type"], a)]
        if takes:
            return await chat.session.decide_deliverable(item, takes[0], _object(rest))
    raise Conflict(aloud="Nothing waits for an answer.")


async def fail(chat: Chat, rest: str) -> None:
    if not chat.session.open_calls:
        raise Conflict(aloud="No call waits for its answer.")
    await chat.session.answer_call(chat.session.open_calls[0]["id"], rest or "It did not work.", failed=True)


async def stop(chat: Chat, rest: str) -> None:
    """At once, or as soon as the answer holds certain words."""
    if rest:
        match = _STOP.fullmatch(rest)
        if match is None:
            raise Invalid("stop", 'write /stop, or /stop after "words"')
        words = " ".join(match[1].split())
        await chat.session.until(lambda: words in " ".join(chat.session.draft.split()) or not chat.session.running)
    if not await chat.session.stop():
        chat.printer.write("nothing runs")


# ---- the conversation


async def new(chat: Chat, _rest: str) -> None:
    await chat.new()
    chat.printer.write(chat.session.conversation)


async def resume(chat: Chat, rest: str) -> None:
    await (chat.resume(rest) if rest else chat.resume_last())


async def fork(chat: Chat, rest: str) -> None:
    if rest and not rest.isdigit():
        raise Invalid("seq", "write the number of the last event to keep, or nothing")
    await chat.fork(chat.session.conversation, int(rest) if rest else None)
    chat.printer.write(f"a copy of your own: {chat.session.conversation}")


async def erase(chat: Chat, rest: str) -> None:
    chat.session.writable()
    conversation = chat.session.conversation
    if rest != conversation:
        raise Invalid("conversation", f"this can't be undone; write /erase {conversation}")
    await chat.new()
    await chat.door.erase(chat.who, conversation)
    chat.printer.write(f"{conversation} is gone; this is {chat.session.conversation}")


async def agent(chat: Chat, rest: str) -> None:
    if rest:
        await chat.session.configure(agent=rest)
        return
    desk = await chat.door.desk(chat.who)
    now = chat.session.snapshot["agent"]
    chat.printer.write("\n".join(f"{'*' if name == now else ' '} {name}" for name in desk.agents))


async def model(chat: Chat, rest: str) -> None:
    if rest:
        await chat.session.configure(model=rest)
        return
    desk = await chat.door.desk(chat.who)
    chat.printer.write(chat.session.snapshot["model"] or desk.model)


async def tool(chat: Chat, rest: str) -> None:
    """Declare a tool that this client runs: the agent may call it, and /answer gives its result."""
    name, _, schema = rest.partition(" ")
    if not name:
        raise Invalid(
            "tool", 'write a name, and a JSON schema if it takes arguments: /tool where_am_i {"type": "object"}'
        )
    parameters = _object(schema) if schema.strip() else {"type": "object", "properties": {}}
    described = str(parameters.get("description", f"Runs {name} on the customer's device."))
    chat.session.client_tools.append(ClientTool(name, described, parameters))


async def floor(chat: Chat, rest: str) -> None:
    verb, _, name = rest.partition(" ")
    if verb not in ("take", "give"):
        raise Invalid("floor", "write /floor take, /floor take NAME, or /floor give")
    if verb == "take" and name.strip():
        chat.operator = Principal("operator", f"operator:{name.strip()}", chat.operator.site, name.strip())
    change = chat.door.take_floor if verb == "take" else chat.door.give_floor
    try:
        cursor = await change(chat.operator, chat.session.conversation)
    except NotFound:
        raise Conflict(aloud="The server does not take you for an operator: set PARLEY_OPERATOR_TOKEN.") from None
    await chat.session.until(lambda: chat.session.seq >= cursor.seq)


async def say(_chat: Chat, _rest: str) -> None:
    raise Invalid("say", "write /say and what the operator says")


async def feedback(chat: Chat, rest: str) -> None:
    chat.session.writable()
    rating, _, comment = rest.partition(" ")
    said = [i for i in chat.session.snapshot["items"] if i["kind"] == "message" and i["role"] == "agent"]
    if not said:
        raise Conflict(aloud="The agent has said nothing yet.")
    await chat.door.feedback(chat.who, chat.session.conversation, said[-1]["id"], rating, comment.strip() or None)


# ---- files, help, the end


async def record(chat: Chat, rest: str) -> None:
    if not rest:
        chat.printer.write(f"recording to {chat.recorder.path}" if chat.recorder else "not recording; /record FILE")
        return
    chat.record(None if rest == "off" else Path(rest))
    chat.printer.write("recording ended" if rest == "off" else f"recording to {rest}")


async def help_(chat: Chat, rest: str) -> None:
    chosen = [COMMANDS[rest.lstrip("/")]] if rest.lstrip("/") in COMMANDS else list(COMMANDS.values())
    width = max(len(f"/{c.name} {c.arguments}") for c in chosen)
    lines = [f"{f'/{c.name} {c.arguments}':<{width}}  {c.help}" for c in chosen]
    if len(chosen) > 1:
        lines += ["", "Enter sends; Esc Enter, or a trailing \\, begins a new line."]
        lines += ["Ctrl-X Ctrl-E opens $EDITOR, Ctrl-R searches what you typed before."]
        lines += ["Ctrl-C stops the answer or clears what is typed, twice leaves."]
    chat.printer.write("\n".join(lines))


async def quit_(_chat: Chat, _rest: str) -> None:
    raise Quit


_ALL = (
    Command("approve", "[JSON]", "yes to what is asked; JSON changes arguments", approve, True),
    Command("reject", "", "no to what is asked", reject, True),
    Command("accept", "", "accept the newest card that can be", accept, True),
    Command("decline", "", "decline it", decline, True),
    Command("answer", "JSON", "answer a form, a choice, or your own tool's call", answer, True),
    Command("decide", "WORD [JSON]", "any other decision that a card takes", decide, True),
    Command("fail", "[TEXT]", "your own tool did not work", fail, True),
    Command("stop", '[after "WORDS"]', "stop the answer; what was said stays", stop, True),
    Command("new", "", "begin a new conversation", new, True),
    Command("list", "[all] [N]", "your conversations, or everybody's, newest first", looking.list_),
    Command("resume", "[ID]", "go to that conversation, or to your last one", resume),
    Command("fork", "[SEQ]", "go on in a copy, from event SEQ or from the end", fork, True),
    Command("agent", "[NAME]", "who answers next, or who there is", agent, True),
    Command("model", "[NAME]", "which model answers in this conversation", model, True),
    Command("tools", "", "tools, which ask for a yes, how their servers are", looking.tools),
    Command("tool", "NAME [SCHEMA]", "offer a tool of your own to the agent", tool, True),
    Command("status", "", "what is running: team, model, database, servers", looking.status),
    Command("prompt", "[AGENT]", "what an agent is told, from the team's file", looking.prompt),
    Command("state", "", "shared state: topics, language, floor, what is open", looking.state),
    Command("usage", "", "tokens, money and time of this conversation", looking.usage),
    Command("history", "[N]", "the conversation so far, or its last N lines", looking.history),
    Command(
        "inspect",
        "[SEQ | all]",
        "events as stored: of the last turn, one, or all",
        looking.inspect,
    ),
    Command("export", "[FILE]", "as a transcript (.txt) or as events (.json)", looking.export),
    Command("record", "[FILE | off]", "write a transcript that --script replays", record),
    Command("floor", "take [NAME] | give", "speak instead of the agent, as an operator", floor, True),
    Command("say", "TEXT", "say it as the operator who has the floor", say),
    Command("feedback", "up | down [TEXT]", "rate the last answer", feedback, True),
    Command("erase", "ID", "delete this conversation for good", erase),
    Command("help", "[COMMAND]", "this list", help_),
    Command("quit", "", "leave", quit_),
)
COMMANDS = {command.name: command for command in _ALL}
