"""From what is watched to lines of a transcript, and notes beside it. Pure, and the same for every transport."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from agent_core import events as e
from app.repl.cards import summary
from app.repl.terminal import clean, one_line
from app.repl.transcript import Line


@dataclass(frozen=True, slots=True)
class Note:
    """Worth a developer's eye, and no part of a transcript: what it took, who decided, what the analyst found."""

    text: str
    usage: bool = False


Told = Line | Note
#: Why a turn ended, where its owner can do something; customers are told that the page's owner has to.
OF_THE_MODEL = ("model_misconfigured", "model_unavailable")


@dataclass(slots=True)
class _Call:
    called: e.ToolCalled
    arguments: str
    finished: e.ToolFinished | None = None
    waits: bool = False


class Narrator:
    """Tells a conversation. Calls that ran side by side are told in the order they were made."""

    def __init__(self) -> None:
        self._calls: dict[str, _Call] = {}
        self._asked: dict[str, str] = {}
        self._shown: dict[str, str] = {}
        self._own: set[str] = set()

    def expect_own(self, client_message_id: str) -> None:
        """Whoever typed that message has told it already."""
        self._own.add(client_message_id)

    def tell(self, item: e.Watched) -> list[Told]:
        match item:
            case e.Logged():
                return self._tell(item.event)
            case e.Reset():
                return [Note("the conversation was read anew: the server could not go on from there")]
        return []

    def _tell(self, event: e.Event) -> list[Told]:
        match event:
            case e.MessageAdded():
                return self._message(event)
            case e.MessageFinished():
                return [Line("agent", clean(event.text).strip())] if event.text.strip() else []
            case e.ToolCalled() | e.ToolFinished() | e.InterruptOpened() | e.InterruptDecided():
                return self._call(event)
            case e.AgentChanged():
                return [*self._flush(), Line("hand", f"{event.before} -> {event.agent}")]
            case e.DeliverableShown() | e.DeliverableDecided():
                return self._deliverable(event)
            case e.FloorChanged():
                name = f" ({one_line(event.name)})" if event.name else ""
                return [Line("floor", event.holder + name)]
            case e.TurnFinished():
                return [*self._flush(all_=True), *_ending(event)]
        return [Note(text) for text in _remark(event)]

    def _message(self, event: e.MessageAdded) -> list[Told]:
        # An operator's key is stored with a prefix of its own.
        if (event.client_message_id or "").removeprefix("operator:") in self._own:
            return []
        return [Line("you" if event.role == "user" else "oper", clean(event.text).strip())]

    # ---- calls

    def _call(self, event: e.ToolCalled | e.ToolFinished | e.InterruptOpened | e.InterruptDecided) -> list[Told]:
        match event:
            case e.ToolCalled():
                self._calls[event.call] = _Call(event, event.arguments, waits=event.kind == "client")
                return [Line("call", _asked(event.tool, event.arguments))] if event.kind == "client" else []
            case e.ToolFinished():
                if event.call in self._calls:
                    self._calls[event.call].finished = event
                return self._flush()
            case e.InterruptOpened():
                self._asked[event.interrupt] = event.call
                self._mark(event.call, waits=True)
                return [Line("asks", _asked(event.tool, event.arguments), _asked(event.tool, event.arguments))]
            case e.InterruptDecided():
                call = self._asked.pop(event.interrupt, "")
                self._mark(call, waits=False, arguments=event.arguments)
                return [Note(f"{event.decision}{f' by {one_line(event.by)}' if event.by else ''}")]

    def _mark(self, call: str, *, waits: bool, arguments: str | None = None) -> None:
        if call in self._calls:
            known = self._calls[call]
            known.waits, known.arguments = waits, arguments or known.arguments

    def _flush(self, *, all_: bool = False) -> list[Told]:
        """The finished calls that no earlier one, still running, holds back."""
        out: list[Told] = []
        for call in list(self._calls.values()):
            if call.finished is None:
                if call.waits or all_:
                    continue
                break
            out += _ran(call)
            del self._calls[call.called.call]
        return out

    # ---- deliverables

    def _deliverable(self, event: e.DeliverableShown | e.DeliverableDecided) -> list[Told]:
        match event:
            case e.DeliverableShown():
                self._shown[event.deliverable] = event.kind
                again = f" (version {event.version})" if event.version > 1 else ""
                return [Line("card", summary(event.kind, event.payload) + again)]
            case e.DeliverableDecided():
                return [Note(f"{self._shown.get(event.deliverable, 'deliverable')}: {one_line(event.decision)}")]


def compact(arguments: str) -> str:
    """Arguments as a transcript writes them: sorted, on one line; what is no JSON stays as it is."""
    try:
        return clean(json.dumps(json.loads(arguments), ensure_ascii=False, sort_keys=True))
    except ValueError:
        return one_line(arguments)


def _asked(tool: str, arguments: str) -> str:
    return f"{one_line(tool)} {compact(arguments)}"


def _ran(call: _Call) -> list[Told]:
    assert call.finished is not None
    if call.called.kind == "deliverable" and call.finished.status == "ok":
        return []  # its card says it
    text = f"{_asked(call.called.tool, call.arguments)} = {call.finished.status}"
    return [Line("tool", text, f"{text} {compact(call.finished.output)}", took=call.finished.milliseconds)]


def _ending(event: e.TurnFinished) -> list[Told]:
    out: list[Told] = []
    if event.status != "done" or event.code:
        text = f"{event.status}{f': {event.code}' if event.code else ''}"
        out.append(Line("ends", text, f"{text}: {clean(event.aloud)}" if event.aloud else ""))
    if event.code in OF_THE_MODEL:
        out.append(Note("parley doctor asks the model, and says what it answers"))
    return [*out, Note(usage(event), usage=True)] if event.milliseconds else out


def usage(event: e.TurnFinished) -> str:
    """What a turn took: time to the first word and in all, tokens, money."""
    parts = []
    if event.first_token_ms is not None:
        parts.append(f"first word {seconds(event.first_token_ms)}")
    parts.append(f"in all {seconds(event.milliseconds)}")
    if event.requests:
        cached = f" ({event.cached_tokens} cached)" if event.cached_tokens else ""
        parts.append(f"{event.input_tokens}{cached} + {event.output_tokens} tokens")
        parts.append(dollars(event.cost_microdollars))
    return " · ".join(parts + ([one_line(event.model)] if event.model else []))


def seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.2f} s"


def dollars(microdollars: int | None) -> str:
    if microdollars is None:
        return "no price known"
    return f"${microdollars / 1_000_000:.6f}".rstrip("0").rstrip(".") if microdollars else "$0"


def _remark(event: Any) -> list[str]:
    match event:
        case e.CustomerIdentified():
            return [f"this is now {one_line(event.name or 'a customer')}, as the business says"]
        case e.TurnResumed(reason="restart" | "retry"):
            return [f"the turn goes on after a {event.reason}"]
        case e.MessageHeard():
            return [f"heard of it: {one_line(event.text)}"]
        case e.StateChanged():
            return [
                f"state {op['path']} = {one_line(json.dumps(op.get('value'), ensure_ascii=False))}"
                for op in event.patch
            ]
        case e.SettingChanged():
            return [f"{event.name} is now {one_line(event.value or 'the default')}"]
        case e.FeedbackGiven():
            return [f"feedback: {event.rating}{f', {one_line(event.comment)}' if event.comment else ''}"]
    return []
