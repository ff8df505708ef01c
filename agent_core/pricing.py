"""What a turn cost: at the owner's price, or from the price list that genai-prices carries.

The list is loaded by the first turn that used tokens and needs it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

    from agent_core.team import Price

    Found = tuple[Provider, ModelInfo]


@dataclass(frozen=True, slots=True)
class Tokens:
    """`cached` are among `input`."""

    input: int = 0
    cached: int = 0
    output: int = 0

    def parted(self, sound: Tokens) -> tuple[Tokens, Tokens]:
        """The text and the sound among these. A provider's counts need not add up, and it may not say what was cached."""
        heard = min(sound.input, self.input)
        text = self.input - heard
        cached = min(max(sound.cached, self.cached - text), heard, self.cached)
        said = min(sound.output, self.output)
        return Tokens(text, self.cached - cached, self.output - said), Tokens(heard, cached, said)

    def of_one(self, requests: int) -> Tokens:
        return Tokens(self.input // requests, self.cached // requests, self.output // requests)


KNOWN_MODELS = 256
_MILLION = 1_000_000
_known: dict[tuple[str, str | None], Found | None] = {}


async def cost_microdollars(
    model: str | None,
    provider: str | None = None,
    *,
    input_tokens: int,
    cached_tokens: int,
    output_tokens: int,
    sound: Tokens = Tokens(),
    requests: int = 1,
    own: Price | None = None,
) -> int | None:
    """Millionths of a US dollar; None when no price is known. `sound`: of all these tokens, those that are not text.

    Tokens are those of `requests` requests together. A long prompt can be dearer per token (OpenAI: above 272,000),
    and what counts as long is one request, not a turn of many.
    """
    if input_tokens == 0 and output_tokens == 0:
        return 0
    text, sound = Tokens(input_tokens, min(cached_tokens, input_tokens), output_tokens).parted(sound)
    if own is not None:
        return _own(own, text, sound)
    if not model:
        return None
    key = (model, provider)
    if key not in _known:
        # Reading the price list takes 0.03 to 0.2 s; it must not hold up anybody's stream.
        price = await asyncio.to_thread(_look_up, model, provider)
        if len(_known) >= KNOWN_MODELS:
            _known.clear()
        _known[key] = price
    if (found := _known[key]) is None:
        return None
    return _cost(found, text, sound, max(requests, 1))


def _own(price: Price, text: Tokens, sound: Tokens) -> int | None:
    if sound == Tokens():
        return price.microdollars(text)
    return None if price.audio is None else price.microdollars(text) + price.audio.microdollars(sound)


def _look_up(model: str, provider: str | None) -> Found | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        return get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None


def _cost(found: Found, text: Tokens, sound: Tokens, requests: int) -> int:
    """Of the average request, times their number: at most a token of each kind is lost per request."""
    from genai_prices import Usage

    provider, model = found
    text, sound = text.of_one(requests), sound.of_one(requests)
    usage = Usage(
        input_tokens=text.input + sound.input,
        cache_read_tokens=text.cached + sound.cached,
        output_tokens=text.output + sound.output,
        input_audio_tokens=sound.input,
        cache_audio_read_tokens=sound.cached,
        output_audio_tokens=sound.output,
    )
    return round(model.calc_price(usage, provider).total_price * requests * _MILLION)
