"""What some products cost today, for anyone: a quote, from which an offer can be made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from agent_core.bill import Bill
from agent_core.deliverable import Answers, Business, Card, Data, Deliverable, Key, Name, Wish, quoted, shortened
from agent_core.errors import ToolError


class Item(Data):
    sku: Annotated[Key, Field(description="The sku of a product, as the catalogue names it.")]
    quantity: Annotated[int, Field(ge=1, le=20)] = 1


class QuoteAsk(Data):
    title: Annotated[Name, Field(description="What the quote is for; the same title again replaces the quote.")]
    items: Annotated[tuple[Item, ...], Field(min_length=1, max_length=12)]


class Quote(Bill):
    title: Name


class DisplayQuote(Deliverable[QuoteAsk, Quote]):
    name = "displayQuote"
    description = (
        "Show the customer what products cost together today, with buttons to accept, decline or ask for a change. "
        "You name the items; the server sets every price. Not for contracts: show an offer for those."
    )
    Ask = QuoteAsk
    Payload = Quote
    answers: ClassVar[Answers] = {"accept": None, "decline": None, "edit": Wish}
    source = "price_items"

    async def prepare(self, ask: QuoteAsk, business: Business) -> Quote:
        items = [item.model_dump() for item in ask.items]
        quote = await self._ask_business(business, {"items": items}, Quote, title=ask.title)
        if _asked(ask) != _priced(quote):
            raise ToolError(f"{self._source} priced other items than were asked for. Nothing is shown.")
        return quote

    def subject(self, ask: QuoteAsk, payload: Quote) -> str:
        return payload.title.casefold()

    def aloud(self, payload: Quote, language: str = "en") -> str:
        return shortened(f"Quote “{payload.title}”: {payload.price(language)}, for {payload.items()}.")

    def follow_up(self, payload: Quote, decision: str, answer: Mapping[str, Any] | None) -> str:
        quote = f"the quote {quoted(payload.title)} ({_skus(payload)}; {payload.price('en')})"
        match decision:
            case "accept":
                return f"[The customer accepted {quote} on the screen. Take the next step towards an order of exactly this.]"
            case "decline":
                return f"[The customer declined {quote}. Accept that; ask once what would suit them better.]"
        wish = quoted((answer or {}).get("wish", ""))
        return (
            f"[The customer wants {quote} changed. Their words: {wish}. Show the changed quote under the same title.]"
        )

    def card(self, payload: Quote, language: str = "en") -> Card:
        return Card(f"Quote: {payload.title}", payload.card_lines(language), ("Today's prices",), tuple(self.answers))


def _asked(ask: QuoteAsk) -> Counter[str]:
    return sum((Counter({item.sku: item.quantity}) for item in ask.items), Counter())


def _priced(bill: Bill) -> Counter[str]:
    return sum((Counter({line.sku: line.quantity}) for line in bill.lines), Counter())


def _skus(payload: Bill) -> str:
    return ", ".join(f"{line.quantity} {line.sku}" for line in payload.lines)
