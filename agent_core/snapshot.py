"""The conversation as it stands: a pure fold of its events.

Shape (all JSON):
    conversation, version (cursor), site, team, agent, mode, model, language, customer, forked_from
    items     what a screen shows, in order, each with `kind`:
                message      id, role user|operator|agent, text, status, turn, at, agent?, author?, mode?, client_message_id?,
                             heard?, rating?
                tool         id, tool, title, arguments, status running|ok|error|..., output, milliseconds, turn, at
                deliverable  id, version, type, payload, status shown|accepted|..., answers, expires_at, versions, turn, at
                interrupt    id, reason, tool, title, arguments, editable, expires_at, status open|approved|..., turn, call, at,
                             labels?, shown?
                handoff      before, agent, turn, at
                floor        holder, name, at
    draft     {message, turn, agent, text} while the agent writes, else null
    turn      {id, status} of the active turn, else null
    open      ids of interrupts that wait
    state     shared state: topics, language, ...
    floor     {holder, name}
    usage     {turns, requests, input_tokens, cached_tokens, output_tokens, cost_microdollars, unpriced}
    last_turn fields of the last turn.finished

The property the tests hold it to: the snapshot at k, folded with the events after k, is the fresh snapshot.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import jsonpatch

from agent_core import events as e

Snapshot = dict[str, Any]
_COUNTED = ("requests", "input_tokens", "cached_tokens", "output_tokens")


def empty(conversation: str) -> Snapshot:
    return {
        "conversation": conversation,
        "version": "0",
        "site": "",
        "team": "",
        "agent": "",
        "mode": "text",
        "model": None,
        "language": None,
        "customer": None,
        "forked_from": None,
        "items": [],
        "draft": None,
        "turn": None,
        "open": [],
        "state": {},
        "floor": {"holder": "agent", "name": None},
        "usage": {"turns": 0, **dict.fromkeys(_COUNTED, 0), "cost_microdollars": 0, "unpriced": 0},
        "last_turn": None,
    }


def fold_all(snapshot: Snapshot, watched: Iterable[e.Watched]) -> Snapshot:
    """A new snapshot; the one given stays as it is."""
    out = copy.deepcopy(snapshot)
    for item in watched:
        out = fold(out, item)
    return out


def fold(s: Snapshot, item: e.Watched) -> Snapshot:
    """`s` changed in place (and returned) by one thing watched; a Reset replaces it."""
    match item:
        case e.Reset():
            return copy.deepcopy(item.snapshot)
        case e.TextDelta():
            _grow_draft(s, item)
        case e.Logged():
            _apply(s, item)
    s["version"] = str(item.cursor)
    return s


def _grow_draft(s: Snapshot, delta: e.TextDelta) -> None:
    if s["draft"] is None or s["draft"]["message"] != delta.message:
        s["draft"] = {"message": delta.message, "turn": delta.turn, "agent": delta.agent, "text": ""}
    s["draft"]["text"] = s["draft"]["text"][: delta.offset] + delta.text


def _apply(s: Snapshot, logged: e.Logged) -> None:
    event, at = logged.event, logged.at
    match event:
        case e.ConversationStarted():
            s.update(site=event.site, team=event.team, agent=event.agent, mode=event.mode)
            s.update(language=event.language, forked_from=event.forked_from)
        case e.CustomerIdentified():
            s["customer"] = event.name
        case e.MessageAdded():
            _add(s, "message", at, id=event.message, role=event.role, text=event.text, status="complete")
            _also(s, turn=event.turn, author=event.author, mode=None if event.mode == "text" else event.mode)
            _also(s, client_message_id=event.client_message_id)
        case e.TurnStarted():
            s["turn"] = {"id": event.turn, "status": "running"}
        case e.TurnResumed():
            s.update(turn={"id": event.turn, "status": "running"}, draft=None)
        case e.MessageFinished():
            s["draft"] = None
            _add(s, "message", at, id=event.message, role="agent", text=event.text, status=event.status)
            _also(s, turn=event.turn, agent=event.agent)
        case e.MessageHeard():
            _find(s, "message", event.message)["heard"] = event.text
        case e.ToolCalled():
            _add(s, "tool", at, id=event.call, tool=event.tool, title=event.title, arguments=event.arguments)
            _also(s, status="running", turn=event.turn, calls=event.kind)
        case e.ToolFinished():
            _find(s, "tool", event.call).update(
                status=event.status, output=event.output, milliseconds=event.milliseconds
            )
        case e.AgentChanged():
            s["agent"] = event.agent
            _add(s, "handoff", at, id=event.call, before=event.before, agent=event.agent, turn=event.turn)
        case e.DeliverableShown() | e.DeliverableAcknowledged() | e.DeliverableDecided():
            _deliverable(s, event, at)
        case e.InterruptOpened() | e.InterruptDecided():
            _interrupt(s, event, at)
        case e.StateChanged():
            s["state"] = jsonpatch.apply_patch(s["state"], event.patch)
        case e.FloorChanged():
            s["floor"] = {"holder": event.holder, "name": event.name}
            _add(s, "floor", at, id=None, holder=event.holder, name=event.name)
        case e.TurnWaiting():
            s["turn"] = {"id": event.turn, "status": "waiting"}
        case e.TurnFinished():
            s.update(turn=None, draft=None, last_turn=e.body(event))
            s["usage"]["turns"] += 1
            _count(s["usage"], event)
        case e.UsageCounted():
            _count(s["usage"], event)
        case e.FeedbackGiven():
            _find(s, "message", event.message)["rating"] = event.rating
        case e.SettingChanged():
            s[event.name] = event.value
        case e.ModeChanged():
            s["mode"] = event.mode


def _deliverable(
    s: Snapshot, event: e.DeliverableShown | e.DeliverableAcknowledged | e.DeliverableDecided, at: int
) -> None:
    match event:
        case e.DeliverableShown():
            shown = _seek(s, "deliverable", event.deliverable)
            if shown is None:
                shown = _add(s, "deliverable", at, id=event.deliverable, versions=[])
            else:
                shown["versions"].append({k: shown[k] for k in ("version", "payload", "status", "expires_at")})
            shown.update(version=event.version, type=event.kind, payload=event.payload, status="shown")
            shown.update(answers=list(event.answers), expires_at=event.expires_at, turn=event.turn, call=event.call)
            shown.update(acknowledged=False, answer=None)
        case e.DeliverableAcknowledged():
            shown = _find(s, "deliverable", event.deliverable)
            if shown["version"] == event.version:
                shown["acknowledged"] = True
        case e.DeliverableDecided():
            _find(s, "deliverable", event.deliverable).update(status=event.decision, answer=event.answer)


def _interrupt(s: Snapshot, event: e.InterruptOpened | e.InterruptDecided, at: int) -> None:
    match event:
        case e.InterruptOpened():
            _add(s, "interrupt", at, id=event.interrupt, reason=event.reason, tool=event.tool, title=event.title)
            _also(s, arguments=event.arguments, expires_at=event.expires_at, status="open")
            _also(s, editable=list(event.editable), turn=event.turn, call=event.call)
            _also(s, labels=event.labels, shown=event.shown)
            s["open"].append(event.interrupt)
        case e.InterruptDecided():
            asked = _find(s, "interrupt", event.interrupt)
            asked.update(status=event.decision, by=event.by)
            if event.arguments is not None:
                for item in (asked, _find(s, "tool", asked["call"])):
                    item.update(_given(arguments=event.arguments, title=event.title))
            s["open"].remove(event.interrupt)


def _count(usage: dict[str, int], event: e.TurnFinished | e.UsageCounted) -> None:
    for name in _COUNTED:
        usage[name] += getattr(event, name)
    if event.cost_microdollars is None:
        usage["unpriced"] += 1
    else:
        usage["cost_microdollars"] += event.cost_microdollars


def _add(s: Snapshot, kind: str, at: int, **values: Any) -> dict[str, Any]:
    item = {"kind": kind, **values, "at": at}
    s["items"].append(item)
    return item


def _also(s: Snapshot, **values: Any) -> None:
    """More of the item added last; what is None stays away."""
    s["items"][-1].update(_given(**values))


def _given(**values: Any) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v is not None}


def _seek(s: Snapshot, kind: str, id_: str) -> dict[str, Any] | None:
    return next((i for i in reversed(s["items"]) if i["kind"] == kind and i["id"] == id_), None)


def _find(s: Snapshot, kind: str, id_: str) -> dict[str, Any]:
    found = _seek(s, kind, id_)
    if found is None:
        raise KeyError(f"the log speaks of {kind} {id_}, which it never introduced")
    return found
