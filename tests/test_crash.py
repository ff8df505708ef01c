"""A few kills of the real server process in every run of the suite; `make crash` does the long one."""

from __future__ import annotations

import pytest

from tests.crash.__main__ import Plan, run
from tests.crash.verdict import bad


@pytest.mark.timeout(120)
async def test_killed_in_the_middle_nothing_acknowledged_is_lost_and_nothing_done_twice(tmp_path):
    counts = await run(Plan(kills=4, turns=24, conversations=4), tmp_path, f"sqlite:///{tmp_path}/parley.db")
    assert bad(counts) == [], counts
    assert counts["kills"] == 4


@pytest.mark.postgres
@pytest.mark.timeout(120)
async def test_the_same_on_postgresql(tmp_path, postgres):
    counts = await run(Plan(kills=3, turns=18, conversations=3), tmp_path, postgres.create())
    assert bad(counts) == [], counts
