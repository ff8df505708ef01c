"""The voice and the ear that come with Parley understand each other."""

from __future__ import annotations

import asyncio
import re
import threading

import numpy as np
import pytest

from voice import embedded

SENTENCES = (
    "When do you open on Sunday?",
    "Please lock my card, I have lost it.",
    "I would like to hear about your plans for families.",
    "The order will arrive on Friday between nine and twelve.",
)


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.casefold())


def errors(said: list[str], heard: list[str]) -> int:
    """Words to be put in, left out or exchanged."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


@pytest.mark.skipif(embedded.to_be_had() is not None, reason="the voice extra is not installed here")
def test_what_the_voice_says_the_ear_understands():
    wrong = total = 0
    for sentence in SENTENCES:
        spoken = np.frombuffer(embedded.spoken(sentence), np.int16).astype(np.float32) / 32768
        heard = embedded.ear().hear(embedded.resampled(spoken, embedded.VOICE_RATE, embedded.EAR_RATE))
        wrong += errors(words(sentence), words(heard))
        total += len(words(sentence))
    assert wrong / total <= 0.15


async def test_of_two_who_speak_at_once_one_is_heard_after_the_other():
    """Each that is heard beside another one would keep 300 MB."""
    both = threading.Barrier(2)

    def hear() -> str:
        try:
            both.wait(timeout=0.2)
        except threading.BrokenBarrierError:
            return "alone"
        return "together"

    async with asyncio.timeout(60):
        assert await asyncio.gather(embedded.heard(hear), embedded.heard(hear)) == ["alone", "alone"]
