"""`fake` is the provider; `client(**settings)` and `asker(**settings)` speak to it; `api` is each of the two in turn.

pytest_plugins = ["tests.provider_fixtures"]
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from agent_core.breaker import Breaker
from agent_core.openai_model import ProviderClient
from tests.asker import Asker
from tests.fake_openai import FakeOpenAI


@pytest.fixture(params=["responses", "chat"])
def api(request) -> str:
    return request.param


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
async def client(fake: FakeOpenAI) -> AsyncIterator[Callable[..., ProviderClient]]:
    """`client(idle_timeout=...)`: short times and no breaker in the way, unless a test asks for them."""
    made: list[ProviderClient] = []

    def make(**settings: Any) -> ProviderClient:
        given = {
            "idle_timeout": 20,
            "total_timeout": 20,
            "backoff": 0.001,
            "breaker": Breaker(failures=1000),
        } | settings
        made.append(ProviderClient(given.pop("url", fake.url), given.pop("key", fake.key), **given))
        return made[-1]

    yield make
    for one in made:
        await one.aclose()


@pytest.fixture
def asker(client, api) -> Callable[..., Asker]:
    return lambda **settings: Asker(client(**settings), api)
