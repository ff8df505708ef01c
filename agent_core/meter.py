"""What a turn has used, by model: agents of one team may have different ones, at different prices."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from agents import Usage

from agent_core import pricing
from agent_core.team import Price


@dataclass(slots=True)
class Used:
    """`cached` tokens are among `input`."""

    requests: int = 0
    input: int = 0
    cached: int = 0
    output: int = 0

    def add(self, usage: Usage) -> None:
        details = usage.input_tokens_details
        self.requests += usage.requests
        self.input += usage.input_tokens
        self.cached += (details.cached_tokens or 0) if details else 0
        self.output += usage.output_tokens


@dataclass(slots=True)
class Meter:
    """Milliseconds since the turn began; `model` is the one that was asked last."""

    began: float = field(default_factory=time.monotonic)
    first_token_ms: int | None = None
    model: str | None = None
    all: Used = field(default_factory=Used)
    _by_model: dict[str, Used] = field(default_factory=dict)

    def add(self, usage: Usage, model: str) -> None:
        self.model = model
        self.all.add(usage)
        self._by_model.setdefault(model, Used()).add(usage)

    async def cost_microdollars(self, prices: Mapping[str, Price]) -> int | None:
        """Of all models; None when the price of one is not known. `prices` are the owner's, by model."""
        total = 0
        for model, tokens in self._by_model.items():
            cost = await pricing.cost_microdollars(
                model,
                input_tokens=tokens.input,
                cached_tokens=tokens.cached,
                output_tokens=tokens.output,
                requests=tokens.requests,
                own=prices.get(model),
            )
            if cost is None:
                return None
            total += cost
        return total

    @property
    def milliseconds(self) -> int:
        return round((time.monotonic() - self.began) * 1000)
