"""What a turn cost."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from agent_core.pricing import cost_microdollars


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
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
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
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0
