"""One thing the customer should not miss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from agent_core.deliverable import Answers, Business, Card, CardLine, Deliverable, Name, Shown, Words, shortened

_SIGNS = {"info": "i", "success": "✓", "warning": "!", "danger": "‼"}


class Alert(Shown):
    level: Literal["info", "success", "warning", "danger"]
    title: Name
    text: Annotated[Words, Field(description="One or two plain sentences. No prices: offers and quotes show those.")]


class DisplayAlert(Deliverable[Alert, Alert]):
    name = "displayAlert"
    description = (
        "Show the customer one important notice that stays visible, such as a locked card, a success or a warning. "
        "Say each thing once: do not repeat the notice in your reply."
    )
    Ask = Alert
    Payload = Alert
    answers: ClassVar[Answers] = {"dismiss": None}

    async def prepare(self, ask: Alert, business: Business) -> Alert:
        return ask

    def aloud(self, payload: Alert, language: str = "en") -> str:
        return shortened(f"{payload.title}: {payload.text}")

    def follow_up(self, payload: Alert, decision: str, answer: Mapping[str, Any] | None) -> str:
        return ""

    def card(self, payload: Alert, language: str = "en") -> Card:
        return Card(f"{_SIGNS[payload.level]} {payload.title}", (CardLine(payload.text),), (), tuple(self.answers))
