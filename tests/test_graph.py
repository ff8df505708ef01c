"""What a turn asks of a real model, as its provider sees it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from agent_core import open_core
from agent_core.events import TurnFinished
from tests.conftest import ANA
from tests.fake_openai import Answer, FakeOpenAI

pytest_plugins = ["tests.provider_fixtures"]


@pytest.fixture
def asked(settings, fake: FakeOpenAI, watching):
    async def ask(mode: str = "text", **changes: Any) -> Any:
        real = {"openai_base_url": fake.url, "openai_api_key": SecretStr(fake.key), **changes}
        fake.script(Answer("Hello."))
        async with open_core(settings.model_copy(update=real)) as door:
            conversation = await door.start(ANA)
            await door.say(ANA, conversation, "Hi", client_message_id="m1", mode=mode)
            assert (await watching(door, ANA, conversation).event(TurnFinished)).status == "done"
        return fake.seen[-1].body

    return ask


async def test_a_model_that_thinks_at_length_unless_told_otherwise_is_told(asked):
    body = await asked(model="gpt-5-2025-08-07", model_api="responses")
    assert (body["reasoning"], body["text"]) == ({"effort": "low"}, {"verbosity": "low"})


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_any_other_model_is_told_nothing_that_it_may_not_know(asked, api):
    body = await asked(model="llama-3.3", model_api=api)
    assert not {"reasoning", "reasoning_effort", "verbosity", "text", "temperature"} & set(body)


async def test_who_listens_is_not_read_a_table(asked):
    assert "hears your answer" in (await asked(mode="voice", model_api="responses"))["instructions"]
    assert "hears your answer" not in (await asked(mode="text", model_api="responses"))["instructions"]
