"""What the connection to a provider promises: what is asked again, what is not, and that the key stays secret."""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from agent_core.breaker import Breaker
from agent_core.errors import (
    AnswerCut,
    ModelMisconfigured,
    ModelUnavailable,
)
from agent_core.provider import LONGEST_BACKOFF, pause
from agent_core.provider_faults import retry_after
from tests.asker import message
from tests.fake_openai import Answer, HangUp, NoAnswer, Refuse

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
pytest_plugins = ["tests.provider_fixtures"]


# ---- asking again


@pytest.mark.parametrize(
    "step",
    [Refuse(408), Refuse(409), Refuse(429), Refuse(500), Refuse(502), Refuse(503), Refuse(529), HangUp()],
    ids=repr,
)
async def test_a_passing_failure_before_the_first_word_is_asked_again(fake, asker, step):
    fake.script(step, step, Answer("Hello."))
    one = asker()
    assert message(await one.ask()) == one.text == "Hello."
    assert len(fake.seen) == 3


@pytest.mark.parametrize("ending", ["cut", "reset", "failed", "garbage"])
async def test_a_stream_that_breaks_before_its_first_word_is_asked_again(fake, asker, ending):
    fake.script(Answer(ending=ending), Answer("Hello."))
    one = asker()
    assert message(await one.ask()) == one.text == "Hello."


@pytest.mark.parametrize(
    "step", [Refuse(429), Refuse(500), HangUp(), Answer(ending="cut")], ids=["429", "500", "hang up", "cut"]
)
async def test_after_three_calls_it_is_given_up(fake, asker, step):
    fake.forever(step)
    with pytest.raises(ModelUnavailable):
        await asker().ask()
    assert len(fake.seen) == 3


async def test_a_provider_that_fails_one_call_in_ten_is_hardly_noticed(fake, asker):
    """With the breaker as it is: it counts failures in a row, or a tired provider would be taken for a dead one."""
    chance = random.Random(7)
    faults = [Refuse(429), Refuse(500), Refuse(503), HangUp(), Answer(ending="cut")]
    fake.script(*[chance.choice(faults) if chance.random() < 0.1 else Answer("Hello.") for _ in range(600)])
    one = asker(breaker=Breaker())
    answers = [await asyncio.gather(*[one.ask() for _ in range(20)], return_exceptions=True) for _ in range(20)]
    failed = [answer for row in answers for answer in row if isinstance(answer, Exception)]
    assert len(failed) <= 4
    assert len(fake.seen) <= 400 * 1.2


async def test_a_provider_that_refuses_connections_is_unavailable(asker):
    with pytest.raises(ModelUnavailable):
        await asker(url="http://127.0.0.1:9/v1").ask()


async def test_an_address_that_is_none_is_told_as_such(asker):
    with pytest.raises(ModelMisconfigured, match="address"):
        await asker(url="http://").ask()


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 422])
async def test_a_wrong_request_is_told_at_once(fake, asker, status):
    fake.forever(Refuse(status, message="Wrong.", headers={"Location": f"{fake.url}/models"}))
    with pytest.raises(ModelMisconfigured, match=f"HTTP {status}"):
        await asker().ask()
    assert len(fake.seen) == 1


@pytest.mark.parametrize(
    "refused",
    [
        Refuse(400, "context_length_exceeded", "Your input exceeds the context window of this model."),
        Refuse(400, "", "This model's maximum context length is 8192 tokens."),
        Refuse(413),
    ],
    ids=["code", "words", "413"],
)
async def test_a_conversation_that_is_too_long_is_said_clearly(fake, asker, refused):
    fake.forever(refused)
    with pytest.raises(ModelMisconfigured) as raised:
        await asker().ask()
    assert "too long" in raised.value.aloud
    assert len(fake.seen) == 1


async def test_an_unpaid_bill_is_not_waited_for(fake, asker):
    fake.forever(Refuse(429, "insufficient_quota", "You exceeded your current quota."))
    with pytest.raises(ModelMisconfigured):
        await asker().ask()
    assert len(fake.seen) == 1


async def test_no_call_is_made_before_the_time_that_the_provider_asks_for(fake, asker):
    fake.script(Refuse(429, headers={"Retry-After": "0.2"}), Answer("Hello."))
    began = asyncio.get_running_loop().time()
    await asker().ask()
    assert asyncio.get_running_loop().time() - began >= 0.2


async def test_a_wait_longer_than_the_turn_fails_at_once(fake, asker):
    fake.forever(Refuse(429, headers={"Retry-After": "120"}))
    began = asyncio.get_running_loop().time()
    with pytest.raises(ModelUnavailable, match="longer than the turn"):
        await asker(total_timeout=60).ask()
    assert asyncio.get_running_loop().time() - began < 30
    assert len(fake.seen) == 1


def test_clients_that_wait_the_same_time_do_not_come_back_together():
    pauses = [pause(1, 0.5, wanted=2.0) for _ in range(50)]
    assert min(pauses) >= 2.0
    assert max(pauses) - min(pauses) >= 0.2 * 2.0


def test_pauses_grow_up_to_a_bound():
    longest = [max(pause(attempt, 0.5) for _ in range(200)) for attempt in (1, 2, 3, 20)]
    assert longest == sorted(longest)
    assert longest[-1] <= LONGEST_BACKOFF


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("2", 2.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        (format_datetime(NOW + timedelta(seconds=30), usegmt=True), 30.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
        *[(garbage, None) for garbage in ("", "soon", "-5", "nan", "inf", "1e9", "9" * 400, "Fri, 99 Foo 2026", "²")],
        (None, None),
    ],
)
def test_retry_after_is_read_in_seconds_or_as_a_date_and_garbage_is_ignored(header, seconds):
    assert retry_after(header, NOW) == seconds


# ---- the breaker


async def test_a_provider_that_is_down_is_left_alone_and_found_again(fake, asker):
    clock = [1000.0]
    one = asker(breaker=Breaker(failures=5, cooldown=10, clock=lambda: clock[0]))
    fake.forever(Refuse(503))
    for _ in range(2):
        with pytest.raises(ModelUnavailable):
            await one.ask()
    assert len(fake.seen) == 5, "the sixth call was not made"
    with pytest.raises(ModelUnavailable, match="out of order"):
        await one.ask()
    assert len(fake.seen) == 5
    clock[0] += 10
    fake.forever(Answer("Back again."))
    assert message(await one.ask()) == "Back again."
    assert message(await one.ask()) == "Back again."


async def test_while_one_caller_probes_the_others_fail_at_once(fake, asker):
    clock = [1000.0]
    one = asker(breaker=Breaker(failures=1, cooldown=10, clock=lambda: clock[0]), retries=0)
    fake.script(Refuse(503), NoAnswer(), Answer("Back again."))
    with pytest.raises(ModelUnavailable):
        await one.ask()
    clock[0] += 10
    probe = asyncio.create_task(one.ask())
    await fake.until(requests=2)
    with pytest.raises(ModelUnavailable, match="out of order"):
        await one.ask()
    probe.cancel()
    await asyncio.wait([probe])
    assert message(await one.ask()) == "Back again.", "an abandoned probe does not shut the way"


async def test_refusals_of_a_living_provider_do_not_open_the_breaker(fake, asker):
    one = asker(breaker=Breaker(failures=2))
    fake.forever(Refuse(429))
    for _ in range(3):
        with pytest.raises(ModelUnavailable, match="429"):
            await one.ask()


# ---- the key


async def test_the_key_is_in_no_error_no_repr_and_no_log(fake, asker, client, caplog):
    caplog.set_level(logging.DEBUG)
    key = "secret-canary-key-4711"
    one = asker(key=key)
    with pytest.raises(ModelMisconfigured) as raised:
        await one.ask()
    fake.key = key
    fake.script(HangUp(), HangUp(), HangUp(), Answer("We", ending="reset"))
    with pytest.raises(ModelUnavailable) as hung_up:
        await one.ask()
    with pytest.raises(AnswerCut) as reset:
        await one.ask()
    for error in (raised.value, hung_up.value, reset.value):
        assert error.__cause__ is None
        assert error.__context__ is None
        assert key not in "".join(traceback.format_exception(error)) + repr(error)
    assert "Incorrect API key provided: [key]" in str(raised.value)
    assert key not in repr(client(key=key)) + caplog.text
    assert fake.seen[-1].headers["Authorization"] == f"Bearer {key}"


# ---- is it set up?


async def test_the_models_are_listed(fake, client):
    assert await client().models() == ("gpt-fake", "gpt-other")


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (Refuse(401), ModelMisconfigured),
        (Refuse(404), ModelMisconfigured),
        (Refuse(200, body="<html>"), ModelMisconfigured),
        (Refuse(503), ModelUnavailable),
        (HangUp(), ModelUnavailable),
        (NoAnswer(), ModelUnavailable),
    ],
    ids=["key", "path", "page", "down", "hang up", "silence"],
)
async def test_listing_the_models_tells_what_is_wrong(fake, client, step, error):
    fake.models_step = step
    with pytest.raises(error):
        await client(connect_timeout=1 if isinstance(step, NoAnswer) else 20).models()


async def test_a_wrong_key_is_told_as_such(client):
    with pytest.raises(ModelMisconfigured, match="401"):
        await client(key="sk-wrong-0123456789").models()


async def test_a_closed_client_has_closed_its_connections(fake, client):
    one = client()
    await one.models()
    await one.aclose()
    await one.aclose()
