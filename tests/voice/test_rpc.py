"""What the agent shows while it speaks: once over the room, within seconds, and never in the way of the words."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from agent_core.events import DeliverableAcknowledged, DeliverableShown, TurnFinished
from tests.scripted import Call
from tests.voice.stage import calling
from voice.rpc import BYTES, Screen, Unreachable

ALERT = Call("displayAlert", {"level": "info", "title": "Opening hours", "text": "We open at nine."})


class Phone:
    """A screen that answers as the test wants."""

    def __init__(self, answer: str | Exception = '{"shown": true}') -> None:
        self.answer = answer
        self.calls: list[tuple[str, dict[str, Any], float]] = []
        self.size = 0
        self.called = asyncio.Event()

    async def call(self, method: str, payload: str, seconds: float) -> str:
        self.size = len(payload.encode())
        self.calls.append((method, json.loads(payload), seconds))
        self.called.set()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_what_is_shown_is_acknowledged_and_spoken_of_but_not_read_aloud(core, settings):
    async with calling(core, settings, [ALERT], "Look at your screen.") as call:
        phone = Phone()
        call.voice.screen = Screen(call.remote, call.conversation, phone)
        call.mouth.say("When do you open?")
        acknowledged = await call.watch.event(DeliverableAcknowledged)
        (method, shown, seconds) = phone.calls[0]
        assert (method, seconds) == ("displayAlert", 5.0)
        assert (shown["deliverable"], shown["version"]) == (acknowledged.deliverable, 1)
        assert shown["payload"]["title"] == "Opening hours"
        await call.ear.hears("Look at your screen.")
        assert "Opening hours" not in call.ear.everything


@pytest.mark.parametrize(
    "answer",
    [
        Unreachable("the customer has left"),
        Unreachable("refused with 1400"),
        '{"shown": false}',
        '{"shown": "true"}',
        "[]",
        "no json",
        "",
    ],
    ids=["left", "no such method", "not shown", "a word", "a list", "no JSON", "nothing"],
)
async def test_a_screen_that_does_not_show_it_keeps_nobody_from_speaking(core, settings, answer):
    async with calling(core, settings, [ALERT], "Here you are.") as call:
        phone = Phone(answer)
        call.voice.screen = Screen(call.remote, call.conversation, phone)
        call.mouth.say("When do you open?")
        await call.ear.hears("Here you are.")
        await call.watch.event(TurnFinished, status="done")
        await asyncio.wait_for(phone.called.wait(), 60)
        await call.voice.settled()
        assert call.events(DeliverableAcknowledged) == []
        assert len(call.events(DeliverableShown)) == 1


async def test_what_is_too_large_for_one_call_is_fetched_by_its_id():
    phone = Phone("no")
    large = DeliverableShown("dlv_1", 2, "displayAlert", {"text": "x" * BYTES}, "turn_1", "call_1")
    assert not await Screen(None, "conv_1", phone).show(large)  # type: ignore[arg-type]
    assert phone.calls[0][1] == {"deliverable": "dlv_1", "version": 2, "kind": "displayAlert"}
    assert phone.size <= BYTES
