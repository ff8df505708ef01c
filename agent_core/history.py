"""What the model reads of the past: a view of the log, as the SDK's input items.

Nothing is stored twice: every item the model saw is an event already. Calls and outputs are always paired, whatever
crashed in between. It is a function and no SDK Session, because the SDK's runner copies, normalizes and compares all
that a Session gives it several times in every run (2.2 ms for 60 items); see decisions/0002.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from agent_core import events as e
from agent_core import log
from agent_core.events import Logged

Item = dict[str, Any]

READ = frozenset(
    event.type
    for event in (
        e.MessageAdded,
        e.MessageFinished,
        e.MessageHeard,
        e.TurnStarted,
        e.TurnFinished,
        e.ToolCalled,
        e.ToolFinished,
        e.InterruptOpened,
        e.InterruptDecided,
        e.AgentChanged,
        e.DeliverableDecided,
    )
)
#: Output of an earlier turn's tool, as far as a later turn needs it; the whole of it stays in the log. Of a long past
#: with a dozen of them it is most.
OLD_OUTPUT = 2_000
#: To a model that goes on with what a voice had begun to say; some providers refuse to be asked by nobody.
GO_ON = "[The call broke off there. Go on in writing.]"
NO_RESULT = "No result yet: this was still running when the conversation went on."


@dataclass(frozen=True, slots=True)
class Past:
    """What a model reads; `said`: the customer's last words, which they may have `spoken`."""

    items: list[Item]
    said: str
    spoken: bool


def window(head: int, events: int) -> int:
    """The place in the log after which a model reads: `events` before its head, or up to a quarter more.

    It moves by a quarter at a time. A provider's cache holds as long as a request begins as the one before, and is worth
    most where the past is long.
    """
    step = max(events // 4, 1)
    return max(head - events, 0) // step * step


def read(connection: Connection, conversation: str, events: int) -> Past:
    after = window(log.head(connection, conversation), events)
    return past(log.read(connection, conversation, after, 2 * events))


def recall(ring: Sequence[Logged], turn: str, events: int) -> Past | None:
    """The same from a conversation's newest events in memory; None when they don't reach back far enough."""
    began = any(isinstance(i.event, e.TurnStarted | e.TurnResumed) and i.event.turn == turn for i in reversed(ring))
    if not began:
        return None
    after = window(ring[-1].seq, events)
    return past(ring[after + 1 - ring[0].seq :]) if ring[0].seq <= after + 1 else None


def past(events: Sequence[Logged]) -> Past:
    stretch = [item for item in events if item.event.type in READ]
    items = model_items(stretch)
    said = next((str(item["content"]) for item in reversed(items) if item.get("role") == "user"), "")
    messages = (i.event for i in reversed(stretch) if isinstance(i.event, e.MessageAdded) and i.event.role == "user")
    last = next(messages, None)
    if items and items[-1].get("role") == "assistant":
        items.append({"role": "user", "content": GO_ON})
    return Past(items, said, last is not None and last.mode == "voice")


def model_items(logged: Iterable[Logged]) -> list[Item]:
    """The items of a stretch of the log, beginning with something a person said."""
    stretch = list(logged)
    items = _Items(stretch)
    for entry in stretch:
        items.take(entry)
    return _from_first_words(items.out)


def _from_first_words(items: list[Item]) -> list[Item]:
    """A window may begin in the middle of a turn: what came before its first words would hang in the air."""
    start = next((n for n, item in enumerate(items) if item.get("role") == "user"), None)
    return items[start:] if start is not None else items


class _Items:
    def __init__(self, stretch: list[Logged]) -> None:
        self.out: list[Item] = []
        self._queued: dict[str, Item] = {}  # what comes in while another turn runs is read when its own turn begins
        self._outputs = {i.event.call: i.event.output for i in stretch if isinstance(i.event, e.ToolFinished)}
        self._edited = _edited(stretch)
        self._heard = {i.event.message: i.event.text for i in stretch if isinstance(i.event, e.MessageHeard)}
        self._refused = {
            i.event.turn for i in stretch if isinstance(i.event, e.TurnFinished) and i.event.code == "guardrail"
        }
        started = [i.event.turn for i in stretch if isinstance(i.event, e.TurnStarted)]
        self._newest = started[-1] if started else None

    def take(self, entry: Logged) -> None:
        match entry.event:
            case e.MessageAdded() as said:
                self._message(said)
            case e.TurnStarted(turn=turn) | e.TurnFinished(turn=turn):
                if turn in self._queued:
                    self.out.append(self._queued.pop(turn))
            case e.MessageFinished() as said if said.turn not in self._refused:
                text = self._heard.get(said.message, said.text)
                if text:
                    self.out.append({"role": "assistant", "content": text})
            case e.ToolCalled() as called:
                arguments = self._edited.get(called.call, called.arguments)
                self._call(entry.seq, called.tool, arguments, self._output(called))
            case e.AgentChanged() as changed if changed.turn is not None:
                self._call(entry.seq, f"transfer_to_{changed.agent}", "{}", f'{{"assistant": "{changed.agent}"}}')
            case e.DeliverableDecided(turn=turn, note=note) if note:
                self._user(turn, note)

    def _message(self, said: e.MessageAdded) -> None:
        if said.role == "operator":
            self.out.append({"role": "assistant", "content": f"[{said.author or 'A colleague'} wrote:] {said.text}"})
        elif said.turn not in self._refused:
            self._user(said.turn, said.text)

    def _user(self, turn: str | None, text: str) -> None:
        item = {"role": "user", "content": text}
        if turn is None:
            self.out.append(item)
        else:
            self._queued[turn] = item

    def _output(self, called: e.ToolCalled) -> str:
        output = self._outputs.get(called.call, NO_RESULT)
        if called.turn != self._newest and len(output) > OLD_OUTPUT:
            return f"{output[:OLD_OUTPUT]}… [shortened]"
        return output

    def _call(self, seq: int, name: str, arguments: str, output: str) -> None:
        # Named by its place: a provider may use a call id again, and two calls of one name in a request are an error.
        call = f"past_{seq}"
        self.out.append({"type": "function_call", "call_id": call, "name": name, "arguments": arguments})
        self.out.append({"type": "function_call_output", "call_id": call, "output": output})


def _edited(stretch: Iterable[Logged]) -> dict[str, str]:
    """The arguments that the customer changed before saying yes, by call: what was run, and what its output is about."""
    asked: dict[str, str] = {}
    out = {}
    for logged in stretch:
        match logged.event:
            case e.InterruptOpened(interrupt=interrupt, call=call):
                asked[interrupt] = call
            case e.InterruptDecided(interrupt=interrupt, arguments=str(arguments)) if interrupt in asked:
                out[asked[interrupt]] = arguments
    return out
