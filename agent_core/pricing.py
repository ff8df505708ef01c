"""What a turn cost: at the owner's price, or from the price list that genai-prices carries.

The list is loaded by the first turn that used tokens and needs it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

    from agent_core.team import Price

    Found = tuple[Provider, ModelInfo]

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
    requests: int = 1,
    own: Price | None = None,
) -> int | None:
    """Millionths of a US dollar; None when no price is known. `cached_tokens` are among `input_tokens`.

    Tokens are those of `requests` requests together. A long prompt can be dearer per token (OpenAI: above 272,000),
    and what counts as long is one request, not a turn of many.
    """
    if input_tokens == 0 and output_tokens == 0:
        return 0
    if own is not None:
        return own.microdollars(input_tokens, min(cached_tokens, input_tokens), output_tokens)
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
    return _cost(found, input_tokens, min(cached_tokens, input_tokens), output_tokens, max(requests, 1))


def _look_up(model: str, provider: str | None) -> Found | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        return get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None


def _cost(found: Found, input_tokens: int, cached_tokens: int, output_tokens: int, requests: int) -> int:
    """Of the average request, times their number: at most a token of each kind is lost per request."""
    from genai_prices import Usage

    provider, model = found
    usage = Usage(
        input_tokens=input_tokens // requests,
        cache_read_tokens=cached_tokens // requests,
        output_tokens=output_tokens // requests,
    )
    return round(model.calc_price(usage, provider).total_price * requests * _MILLION)
