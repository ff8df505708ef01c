"""Turns in writing and by voice, one after the other and into each other: what stands in the log at the end."""

from __future__ import annotations

import asyncio
import random
import re
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent_core.events import Logged, MessageAdded, MessageFinished, MessageHeard, TurnFinished
from tests.conftest import ANA
from tests.scripted import Hold
from tests.voice.measured import a_core, settings
from tests.voice.stage import Call, calling

BEGINNING, REST = "This is the beginning of answer {}. ", "And this is its rest."
SECONDS = 30


@dataclass
class Customer:
    """Says one numbered thing after the other, and knows what came of it."""

    said: list[str] = field(default_factory=list)
    barged: set[str] = field(default_factory=set)
    holds: dict[str, Hold] = field(default_factory=dict)

    def next(self, *, held: bool = False) -> str:
        text = f"Question {len(self.said)}, please?"
        self.said.append(text)
        if held:
            self.holds[text] = Hold()
        return text

    def answer(self, items: list[Any]) -> Any:
        text = str(items[-1]["content"])
        whole = BEGINNING.format(number(text))
        return [whole, self.holds[text], REST] if text in self.holds else whole + REST


def number(text: str) -> int:
    found = re.search(r"\d+", text)
    assert found is not None, text
    return int(found[0])


async def answered(call: Call, text: str) -> None:
    """Its turn has ended, and nobody speaks."""
    added = lambda i: isinstance(getattr(i, "event", None), MessageAdded) and i.event.text == text  # noqa: E731
    said: Any = await call.watch.until(added, SECONDS)
    ended = lambda i: isinstance(getattr(i, "event", None), TurnFinished) and i.event.turn == said.event.turn  # noqa: E731
    await call.watch.until(ended, SECONDS)


async def typed(call: Call, text: str) -> None:
    await call.door.say(ANA, call.conversation, text, client_message_id=f"typed-{number(text)}")


async def into_each_other(call: Call, customer: Customer, *, by_voice: bool) -> None:
    """While an answer is given the customer goes on: aloud, which breaks it off, or in writing, which waits."""
    first = customer.next(held=True)
    call.mouth.say(first)
    await call.ear.hears(BEGINNING.format(number(first)).strip(), SECONDS)
    second = customer.next()
    if by_voice:
        customer.barged.add(first)
        call.mouth.say(second)
    else:
        await typed(call, second)
        customer.holds[first].go.set()
    await answered(call, first)
    await answered(call, second)


async def converse(call: Call, customer: Customer, turns: int) -> None:
    chance = random.Random(7)
    while len(customer.said) < turns:
        kind = chance.choice(("typed", "spoken", "barged", "beside"))
        if kind in ("barged", "beside") and len(customer.said) < turns - 1:
            await into_each_other(call, customer, by_voice=kind == "barged")
        else:
            text = customer.next()
            if kind == "typed":
                await typed(call, text)
            else:
                call.mouth.say(text)
            await answered(call, text)
        await asyncio.wait_for(call.voice.live.wait_for_idle(), SECONDS)


def report(call: Call, customer: Customer) -> str:
    events = [i.event for i in call.watch.seen if isinstance(i, Logged)]
    added = [e for e in events if isinstance(e, MessageAdded) and e.role == "user"]
    texts = [e.text for e in added]
    kept = {e.message: e.text for e in events if isinstance(e, MessageFinished | MessageHeard)}  # the later one counts
    answers: dict[str, list[str]] = {e.text: [] for e in added}
    of = {e.turn: e.text for e in added}
    for e in events:
        if isinstance(e, MessageFinished):
            answers[of[e.turn]].append(kept[e.message])
    wrong = [text for text in texts if not _right(text, answers[text], text in customer.barged)]
    lost = sum(text not in texts for text in customer.said)
    doubled = len(texts) - len(set(texts))
    spoken = sum(e.mode == "voice" for e in added)
    order = "one order" if texts == customer.said else "ANOTHER ORDER"
    return (
        f"{len(texts)} turns, {spoken} by voice, {len(customer.barged)} broken into: {order}, {lost} lost, {doubled} "
        f"doubled, {len(wrong)} with another answer than was heard"
    )


def _right(text: str, answers: list[str], barged: bool) -> bool:
    beginning = BEGINNING.format(number(text))
    return "".join(answers).strip() == (beginning if barged else beginning + REST).strip()


async def mixed(turns: int) -> None:
    began, customer = time.perf_counter(), Customer()
    with tempfile.TemporaryDirectory() as folder:
        chosen = settings(Path(folder))
        async with calling(a_core(chosen, customer.answer), chosen) as call:
            await converse(call, customer, turns)
            await call.voice.settled()
            print(f"{report(call, customer)}   ({time.perf_counter() - began:.0f} s)")
