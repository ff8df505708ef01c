"""What a turn cost, from the price list that genai-prices carries. It is loaded by the first turn that used tokens."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

_MILLION = 1_000_000


async def cost_microdollars(
    model: str | None,
    provider: str | None = None,
    *,
    input_tokens: int,
    cached_tokens: int,
    output_tokens: int,
    requests: int = 1,
) -> int | None:
    """Millionths of a US dollar; None when no price is known. `cached_tokens` are among `input_tokens`.

    Tokens are those of `requests` requests together. A long prompt can be dearer per token (OpenAI: above 272,000),
    and what counts as long is one request, not a turn of many.
    """
    if input_tokens == 0 and output_tokens == 0:
        return 0
    if not model:
        return None
    # 0.2 s and 30 MB once; every later look-up is answered from memory in 0.1 ms.
    known = await asyncio.to_thread(_known, model, provider)
    if known is None:
        return None
    return _cost(known, input_tokens, min(cached_tokens, input_tokens), output_tokens, max(requests, 1))


@lru_cache(maxsize=256)
def _known(model: str, provider: str | None) -> tuple[Provider, ModelInfo] | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        return get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None


def _cost(
    known: tuple[Provider, ModelInfo], input_tokens: int, cached_tokens: int, output_tokens: int, requests: int
) -> int:
    from genai_prices import Usage

    provider, model = known
    usage = Usage(
        input_tokens=input_tokens // requests,
        cache_read_tokens=cached_tokens // requests,
        output_tokens=output_tokens // requests,
    )
    # Whole tokens are lost to the division; they are a few among thousands, and charging them twice would be worse.
    return round(model.calc_price(usage, provider).total_price * requests * _MILLION)
