"""What a turn cost."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import SecretStr

from agent_core.events import TurnFinished, UsageCounted
from agent_core.pricing import Tokens, cost_microdollars
from agent_core.settings import Settings
from agent_core.team import Price, Rates
from app.doctor import examine
from tests.conftest import ANA, OpenCore
from tests.owner import at, changed, say
from tests.scripted import Call, ScriptedModels


async def test_input_cached_input_and_output_each_have_their_price() -> None:
    """gpt-4o-mini has cost $0.15, $0.075 and $0.60 per million since its first day."""
    cost = await cost_microdollars("gpt-4o-mini", input_tokens=1_000_000, cached_tokens=400_000, output_tokens=100_000)
    assert cost == 90_000 + 30_000 + 60_000


async def test_a_dated_model_costs_what_its_family_costs() -> None:
    cost = await cost_microdollars("gpt-4o-mini-2024-07-18", input_tokens=1000, cached_tokens=0, output_tokens=100)
    assert cost == 210


@pytest.mark.parametrize("model", ["qwen2.5:7b", "no-such-model", "", None])
async def test_a_model_without_a_price_costs_nobody_knows_what(model: str | None) -> None:
    assert await cost_microdollars(model, input_tokens=1000, cached_tokens=0, output_tokens=100) is None


async def test_an_unknown_provider_has_no_prices() -> None:
    cost = await cost_microdollars("gpt-4o-mini", "nobody", input_tokens=1000, cached_tokens=0, output_tokens=100)
    assert cost is None


async def test_a_provider_may_be_named() -> None:
    cost = await cost_microdollars("gpt-4o-mini", "openai", input_tokens=1000, cached_tokens=0, output_tokens=100)
    assert cost == 210


async def test_the_owners_price_comes_before_the_list() -> None:
    """US dollars per million tokens; what says nothing of cached ones takes them as any other."""
    own = Price(input=0.4, cached=0.1, output=2)
    used = {"input_tokens": 1_000_000, "cached_tokens": 250_000, "output_tokens": 100_001}
    assert await cost_microdollars("gpt-4o-mini", **used, own=own) == 300_000 + 25_000 + 200_002
    assert await cost_microdollars("qwen2.5:7b", **used, own=Price(input=0.4, output=0)) == 400_000
    assert await cost_microdollars("qwen2.5:7b", **used, own=Price(input=0, output=0)) == 0
    assert await cost_microdollars(None, **used) is None


#: A million in and a tenth of it out, most of it sound.
SPOKEN = {
    "input_tokens": 1_000_000,
    "cached_tokens": 200_000,
    "output_tokens": 100_000,
    "sound": Tokens(600_000, 100_000, 80_000),
}


async def test_what_a_realtime_model_hears_and_says_is_dearer_than_text() -> None:
    """gpt-realtime costs $4, $0.40 cached and $16 per million for text, and $32, $0.40 and $64 for sound."""
    text, sound = 300_000 * 4 + 100_000 * 0.4 + 20_000 * 16, 500_000 * 32 + 100_000 * 0.4 + 80_000 * 64
    assert await cost_microdollars("gpt-realtime", **SPOKEN) == text + sound


async def test_the_owners_price_of_sound_is_the_owners_alone_to_know() -> None:
    text = Price(input=2, cached=1, output=3)
    assert await cost_microdollars("gpt-realtime", **SPOKEN, own=text) is None
    both = Price(input=2, cached=1, output=3, audio=Rates(input=10, output=20))
    spent = 300_000 * 2 + 100_000 * 1 + 20_000 * 3 + 600_000 * 10 + 80_000 * 20
    assert await cost_microdollars("gpt-realtime", **SPOKEN, own=both) == spent


async def test_what_was_cached_and_can_not_be_text_was_sound() -> None:
    """A provider may say how much was cached, and not of what."""
    used = {"input_tokens": 1000, "cached_tokens": 900, "output_tokens": 0}
    cost = await cost_microdollars("gpt-realtime", **used, sound=Tokens(950, 0, 0))
    assert cost == 50 * 0.4 + 850 * 0.4 + 100 * 32


@pytest.mark.parametrize(
    "sound", [Tokens(9, 9, 9), Tokens(0, 9, 0), Tokens(5, 0, 0), Tokens(10, 0, 1), Tokens(3, 1, 1)]
)
async def test_counts_that_do_not_add_up_still_have_a_price(sound: Tokens) -> None:
    own = Price(input=2, cached=1, output=3, audio=Rates(input=2, cached=1, output=3))
    for price in (own, None):
        cost = await cost_microdollars(
            "gpt-realtime", input_tokens=10, cached_tokens=8, output_tokens=4, sound=sound, own=price, requests=3
        )
        assert cost is not None
        assert cost > 0


@pytest.mark.parametrize("unknown", [False, True])
async def test_each_agents_model_has_its_own_price_in_a_turn_that_two_agents_answer(
    core: OpenCore, settings: Settings, watching: Any, unknown: bool
) -> None:
    """The scripted model uses as many tokens in each step; with one price unknown, nobody knows the whole."""
    prices = {"dear": {"input": 0, "output": 4000}, "cheap": {"input": 0, "output": 1000}}
    file = changed(settings, lead={"model": "dear"}, prices={"cheap": prices["cheap"]} if unknown else prices)
    text = file.read_text().replace("name: expert", "name: expert\n  model: cheap")
    file.write_text(text)
    async with core([Call("transfer_to_expert")], "Expert here.", team_file=file) as door:
        _, watch = await say(door, watching)
        turn = await watch.event(TurnFinished)
    assert (turn.model, turn.requests) == ("cheap", 2)
    assert turn.cost_microdollars == (None if unknown else turn.output_tokens // 2 * 5000)


async def test_a_team_prices_its_turns_and_its_analyst(core: OpenCore, settings: Settings, watching: Any) -> None:
    file = changed(
        settings,
        lead={"model": "tuned"},
        analyst={"instructions": "Follow.", "topics": ["plan"], "model": "small"},
        prices={"tuned": {"input": 1000, "output": 2000}, "small": {"input": 500, "output": 500}},
    )

    def answer(items: list[Any]) -> str:
        return json.dumps({"covered": ["plan"], "open": []}) if "Customer: " in str(items) else "Hello."

    async with core(models=ScriptedModels(otherwise=answer), team_file=file) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Hi", client_message_id="1")
        watch = watching(door, ANA, conversation)
        turn, analyst = await watch.event(TurnFinished), await watch.event(UsageCounted)
        used = (await door.snapshot(ANA, conversation))["usage"]
    assert (turn.model, turn.cost_microdollars) == ("tuned", 1000 * turn.input_tokens + 2000 * turn.output_tokens)
    assert (analyst.model, analyst.cost_microdollars) == ("small", 500 * (analyst.input_tokens + analyst.output_tokens))
    assert turn.cost_microdollars > 0
    assert (used["cost_microdollars"], used["unpriced"]) == (turn.cost_microdollars + analyst.cost_microdollars, 0)


async def test_the_doctor_says_which_models_have_a_price(settings: Settings) -> None:
    analyst = {"instructions": "Follow.", "topics": ["x"], "model": "gpt-4o-mini"}
    told = "gpt-4o-mini (price list), tuned (the team's); none is known for qwen: what it uses counts as unpriced"
    for model, prices, text in (
        ("qwen", {"tuned": {"input": 1, "output": 2}}, told),
        (
            "gpt-5",
            {"tuned": {"input": 1, "output": 2}},
            "gpt-4o-mini (price list), gpt-5 (price list), tuned (the team's)",
        ),
        (
            "qwen",
            {"qwen": {"input": 0, "output": 0}},
            "gpt-4o-mini (price list), qwen (the team's); none is known for tuned:",
        ),
    ):
        file = changed(settings, lead={"model": "tuned"}, analyst=analyst, prices=prices)
        real = {"openai_api_key": SecretStr("sk-x"), "openai_base_url": "http://127.0.0.1:9/v1", "model": model}
        found = {one.subject: one async for one in examine({}, at(settings, file).model_copy(update=real))}["prices"]
        assert found.text.startswith(text)
        assert (found.level, bool(found.todo)) == ("ok", "none is known" in text)
    assert "prices" not in {one.subject async for one in examine({}, settings)}  # the demo model costs nothing


@pytest.mark.parametrize(
    ("own", "text"),
    [
        ({}, "gpt-5 (price list), gpt-realtime (price list)"),
        ({"input": 4, "output": 16}, "gpt-5 (price list); none is known for gpt-realtime: what it uses"),
        (
            {"input": 4, "output": 16, "audio": {"input": 32, "output": 64}},
            "gpt-5 (price list), gpt-realtime (the team's)",
        ),
    ],
)
async def test_the_doctor_knows_that_a_realtime_model_needs_a_price_of_its_sound(
    settings: Settings, own: dict[str, Any], text: str
) -> None:
    speaks = {"voice": {"modes": ["supervised", "pipeline"]}}
    file = changed(settings, lead=speaks, prices={"gpt-realtime": own} if own else {})
    real = {"openai_api_key": SecretStr("sk-x"), "openai_base_url": "http://127.0.0.1:9/v1", "model": "gpt-5"}
    found = {one.subject: one async for one in examine({}, at(settings, file).model_copy(update=real))}["prices"]
    assert found.text.startswith(text)


async def test_more_cached_tokens_than_tokens_are_not_believed() -> None:
    all_cached = await cost_microdollars("gpt-4o-mini", input_tokens=1000, cached_tokens=1000, output_tokens=0)
    assert await cost_microdollars("gpt-4o-mini", input_tokens=1000, cached_tokens=9000, output_tokens=0) == all_cached


async def test_many_short_requests_are_not_priced_as_one_long_one() -> None:
    """Above 272,000 tokens of one request gpt-5.5 costs twice as much."""
    long = await cost_microdollars("gpt-5.5", input_tokens=400_000, cached_tokens=0, output_tokens=0)
    short = await cost_microdollars("gpt-5.5", input_tokens=400_000, cached_tokens=0, output_tokens=0, requests=20)
    assert long is not None
    assert short is not None
    assert long == 2 * short


async def test_no_tokens_cost_nothing_and_turns_of_one_moment_do_not_disturb_each_other() -> None:
    assert await cost_microdollars("demo", input_tokens=0, cached_tokens=0, output_tokens=0) == 0
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(cost_microdollars(f"model-{n}", input_tokens=1, cached_tokens=0, output_tokens=1))
            for n in range(300)
        ]
    assert {task.result() for task in tasks} == {None}


def test_the_price_list_is_not_loaded_before_tokens_were_used() -> None:
    code = (
        "import asyncio, sys; from agent_core.pricing import cost_microdollars as cost;"
        "asyncio.run(cost('demo', input_tokens=0, cached_tokens=0, output_tokens=0));"
        "sys.exit('genai_prices' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
