"""A few kills of real server processes in every run of the suite; `make crash` does the long one."""

from __future__ import annotations

import pytest

from tests.crash.__main__ import Plan, run
from tests.crash.verdict import bad


@pytest.mark.timeout(120)
async def test_killed_in_the_middle_nothing_acknowledged_is_lost_and_nothing_done_twice(tmp_path):
    counts = await run(Plan(kills=6, turns=40, conversations=4), tmp_path, f"sqlite:///{tmp_path}/parley.db")
    assert bad(counts) == [], counts
    assert counts["kills"] == 6
    assert counts["turns"] >= 40


@pytest.mark.postgres
@pytest.mark.timeout(120)
async def test_the_same_with_two_servers_on_one_database_killed_in_turn(tmp_path, postgres):
    counts = await run(Plan(kills=6, turns=40, conversations=4, servers=2), tmp_path, postgres.create())
    assert bad(counts) == [], counts
