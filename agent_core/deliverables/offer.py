"""An offer that the business made for this customer, to accept or decline."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from agent_core.bill import Bill, Minor
from agent_core.deliverable import (
    Answers,
    Business,
    Card,
    Data,
    Deliverable,
    Key,
    Name,
    Printable,
    Wish,
    quoted,
    shortened,
)
from agent_core.errors import ToolError


class OfferAsk(Data):
    offer_id: Annotated[Key, Field(description="The id of the offer, as the tool that made it answered.")]


class Offer(Bill):
    offer_id: Key
    title: Name
    term_months: Annotated[int, Field(strict=True, ge=0, le=120)] | None = None
    valid_until: Annotated[int, Field(strict=True, ge=0, lt=10**14)]
    valid_through: date | None = None
    terms: Annotated[str, Printable, Field(max_length=2000)] = ""
    status: Literal["open", "expired"] = "open"

    @model_validator(mode="after")
    def _term_adds_up(self) -> Offer:
        whole: Minor | None = self.totals.term_total_minor
        if whole is not None and whole != self.totals.one_off_minor + self.totals.monthly_minor * (
            self.term_months or 0
        ):
            raise ValueError(f"the total of the term is not {whole}")
        return self


class DisplayOffer(Deliverable[OfferAsk, Offer]):
    name = "displayOffer"
    description = (
        "Show the customer an offer that was made for them, with its lines, prices, discounts, terms and buttons to "
        "accept, decline or ask for a change. Only a customer's acceptance on this card, or their clear yes, lets you "
        "order it. Prices are filled in by the server: repeat no table of them."
    )
    Ask = OfferAsk
    Payload = Offer
    answers: ClassVar[Answers] = {"accept": None, "decline": None, "edit": Wish}
    source = "get_offer"

    async def prepare(self, ask: OfferAsk, business: Business) -> Offer:
        offer = await self._ask_business(business, {"offer_id": ask.offer_id}, Offer)
        if offer.offer_id != ask.offer_id:
            raise ToolError(
                f"{self._source} was asked for {ask.offer_id} and answered {offer.offer_id}. Nothing is shown."
            )
        if offer.status == "expired":
            raise ToolError(f"Offer {ask.offer_id} has expired. Make a new one at today's prices, and show that.")
        return offer

    def subject(self, ask: OfferAsk, payload: Offer) -> str:
        return payload.offer_id

    def expires_at(self, payload: Offer) -> int:
        return payload.valid_until

    def aloud(self, payload: Offer, language: str = "en") -> str:
        cuts = f" Taken off: {', '.join(cut.label for cut in payload.discounts)}." if payload.discounts else ""
        until = f" It holds until {_day(payload.valid_through)}." if payload.valid_through else ""
        return shortened(
            f"Offer {payload.offer_id}, {payload.title}: {payload.price(language)}, for {payload.items()}.{cuts}{until}"
        )

    def follow_up(self, payload: Offer, decision: str, answer: Mapping[str, Any] | None) -> str:
        offer = f"offer {payload.offer_id} ({payload.title}, {payload.price('en')})"
        match decision:
            case "accept":
                return f"[The customer accepted {offer} on the screen. Carry it out now.]"
            case "decline":
                return f"[The customer declined {offer}. Accept that; ask once what would suit them better.]"
        wish = quoted((answer or {}).get("wish", ""))
        return f"[The customer wants {offer} changed. Their words: {wish}. Make a new offer if you can, and show it.]"

    def card(self, payload: Offer, language: str = "en") -> Card:
        whole = payload.totals.term_total_minor
        term = (
            [f"{payload.money(whole, language)} over {payload.term_months} months"]
            if whole and payload.term_months
            else []
        )
        notes = (*term, *([payload.terms] if payload.terms else []))
        title = f"Offer {payload.offer_id}: {payload.title}"
        return Card(title, payload.card_lines(language), notes, tuple(self.answers))


def _day(day: date) -> str:
    return f"{day.day} {day:%B} {day.year}"
