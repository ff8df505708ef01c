"""What a breaker promises: a broken provider is left alone, and one caller at a time looks whether it is back."""

from __future__ import annotations

import pytest

from agent_core.breaker import PROBE_SECONDS, Breaker, BreakerOpen


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(failures=5, window=30, cooldown=10, clock=clock)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.check()
        breaker.failed()


def test_four_failures_leave_it_closed_and_the_fifth_opens_it(breaker):
    fail(breaker, 4)
    breaker.check()
    breaker.failed()
    assert breaker.is_open
    with pytest.raises(BreakerOpen) as refused:
        breaker.check()
    assert refused.value.retry_after == 10


def test_a_success_between_failures_starts_the_count_anew(breaker):
    fail(breaker, 4)
    breaker.succeeded()
    fail(breaker, 4)
    assert not breaker.is_open


def test_failures_far_apart_do_not_open_it(breaker, clock):
    for _ in range(20):
        fail(breaker, 1)
        clock.now += 8
    assert not breaker.is_open


def test_after_the_cooldown_one_caller_probes_and_the_others_wait(breaker, clock):
    fail(breaker, 5)
    clock.now += 9.9
    with pytest.raises(BreakerOpen):
        breaker.check()
    clock.now += 0.1
    breaker.check()
    for _ in range(3):
        with pytest.raises(BreakerOpen):
            breaker.check()


def test_a_probe_that_succeeds_closes_it_for_all(breaker, clock):
    fail(breaker, 5)
    clock.now += 10
    breaker.check()
    breaker.succeeded()
    assert not breaker.is_open
    breaker.check()
    breaker.check()


def test_a_probe_that_fails_opens_it_for_another_cooldown(breaker, clock):
    fail(breaker, 5)
    clock.now += 10
    fail(breaker, 1)
    with pytest.raises(BreakerOpen):
        breaker.check()
    clock.now += 10
    breaker.check()


def test_a_late_failure_of_an_earlier_call_does_not_lengthen_the_cooldown(breaker, clock):
    fail(breaker, 5)
    clock.now += 9
    breaker.failed()
    clock.now += 1
    breaker.check()


def test_a_probe_that_was_abandoned_lets_the_next_caller_probe(breaker, clock):
    fail(breaker, 5)
    clock.now += 10
    breaker.check()
    breaker.abandoned()
    breaker.check()


def test_a_probe_that_never_told_is_taken_for_lost(breaker, clock):
    fail(breaker, 5)
    clock.now += 10
    breaker.check()
    clock.now += PROBE_SECONDS
    breaker.check()
