"""What a realtime provider's own events tell, and LiveKit does not."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from agent_core.door import Spoken

#: Of the raw calls and finished messages that LiveKit tells of in another place.
KEPT = 64
#: Tokens of a turn that a provider is believed.
MOST = 10**9


class Wire:
    """Raw arguments, which messages have calls after them, what was used."""

    def __init__(self) -> None:
        self._arguments: OrderedDict[str, str] = OrderedDict()
        self._preambles: OrderedDict[str, bool] = OrderedDict()
        self._asked_for: OrderedDict[str, bool] = OrderedDict()  # by us; the others answer the customer's voice
        self._by_us = self._calls_follow = False
        self._used: list[Mapping[str, Any]] = []

    def take(self, event: Mapping[str, Any]) -> None:
        if event["type"] == "response.created":
            self._calls_follow, self._by_us = False, bool(event["response"].get("metadata"))
        if event["type"] == "response.output_item.added":
            _keep(self._asked_for, str(event["item"].get("id")), self._by_us)
        if event["type"] == "response.output_item.done" and event["item"].get("type") == "function_call":
            self._calls_follow = True
            _keep(self._arguments, str(event["item"].get("call_id")), str(event["item"].get("arguments") or ""))
        if event["type"] == "response.done":
            self._done(event["response"])

    def _done(self, response: Mapping[str, Any]) -> None:
        items = response.get("output") or []
        calls = any(item.get("type") == "function_call" for item in items)
        for item in items:
            if item.get("type") == "message":
                _keep(self._preambles, str(item.get("id")), calls)
        usage = response.get("usage")
        if usage or response.get("status") != "cancelled":
            self._used.append(usage if isinstance(usage, Mapping) else {})

    def arguments(self, call: str, repaired: Mapping[str, Any]) -> str:
        """As the model wrote them."""
        raw = self._arguments.get(call)
        return raw if raw is not None else json.dumps(repaired)

    def is_preamble(self, message: str) -> bool:
        """Whether the same response goes on with a call: then the turn is not over."""
        return self._preambles.get(message, self._calls_follow)

    def knows(self, message: str) -> bool:
        """Whether the model said it; else it was said by us, in its place."""
        return message in self._asked_for

    def answers_a_voice(self, message: str) -> bool:
        """Whether it is the answer to what the customer said, and was not asked for by us."""
        return not self._asked_for[message]

    def take_used(self, model: str) -> Spoken:
        """By all responses since it was asked last."""
        used, self._used = self._used, []

        def total(*path: str) -> int:
            return min(sum(_count(usage, path) for usage in used), MOST)

        return Spoken(
            model,
            total("input_tokens"),
            total("input_token_details", "cached_tokens"),
            total("output_tokens"),
            total("input_token_details", "audio_tokens"),
            total("input_token_details", "cached_tokens_details", "audio_tokens"),
            total("output_token_details", "audio_tokens"),
            len(used),
        )


def _count(usage: Mapping[str, Any], path: tuple[str, ...]) -> int:
    """A provider that is only compatible may leave out the details, or everything."""
    found: Any = usage
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return max(found, 0) if isinstance(found, int) and not isinstance(found, bool) else 0


def is_empty(event: Mapping[str, Any]) -> bool:
    """A response that has ended with nothing, and was not cancelled."""
    if event["type"] != "response.done" or event["response"].get("status") == "cancelled":
        return False
    return not event["response"].get("output")


def _keep(known: OrderedDict[str, Any], key: str, value: Any) -> None:
    known[key] = value
    while len(known) > KEPT:
        known.popitem(last=False)
