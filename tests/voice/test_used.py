"""What a realtime model used: as its provider tells it, and counted whatever becomes of the answer."""

from __future__ import annotations

from typing import Any

import pytest

from agent_core.door import Receipt, Spoken
from agent_core.errors import Conflict
from agent_core.events import Cursor, UsageCounted
from tests.conftest import ANA
from voice.line import SERVICE
from voice.scribe import Scribe
from voice.wire import Wire

ODD = [
    (None, (0, 0, 0)),
    ([], (0, 0, 0)),
    ({"input_tokens": -3, "output_tokens": True}, (0, 0, 0)),
    ({"input_tokens": "12", "output_tokens": 2.0, "input_token_details": 7}, (0, 0, 0)),
    ({"input_tokens": 2 * 10**12, "output_tokens": 3, "output_token_details": {"audio_tokens": None}}, (10**9, 3, 0)),
]


@pytest.mark.parametrize(("usage", "believed"), ODD)
async def test_what_a_provider_says_of_its_use_may_be_anything(core, watching, usage, believed):
    """The answer is in the log all the same; where nothing can be made of it, nobody knows what it cost."""
    wire = Wire()
    wire.take({"type": "response.done", "response": {"status": "completed", "usage": usage}})
    used = wire.take_used("gpt-realtime")
    assert (used.input_tokens, used.output_tokens, used.audio_output_tokens, used.requests) == (*believed, 1)
    async with core() as door:
        conversation = await door.start(ANA)
        asked = await door.voice.ask(ANA, conversation, take_over=False)
        await door.voice.claim(SERVICE, asked.session)
        await door.voice.count(SERVICE, asked.session, used)
        counted = await watching(door, ANA, conversation).event(UsageCounted)
        assert (counted.cost_microdollars is None) == (believed == (0, 0, 0))


async def test_an_answer_that_was_cut_before_it_began_costs_nothing(core):
    wire = Wire()
    wire.take({"type": "response.done", "response": {"status": "cancelled", "usage": None}})
    assert wire.take_used("gpt-realtime").requests == 0


class Refusing:
    """A door behind which somebody has ended the turn."""

    def __init__(self) -> None:
        self.counted: list[Spoken] = []

    async def hear(self, *_: Any, **__: Any) -> Receipt:
        return Receipt("turn_1", "msg_1", Cursor())

    async def tell(self, *_: Any, **__: Any) -> None:
        raise Conflict("the turn is over")

    async def count(self, _who: Any, _session: str, used: Spoken) -> None:
        self.counted.append(used)


async def test_what_an_answer_cost_that_the_log_does_not_take_is_counted_all_the_same():
    door = Refusing()
    scribe = Scribe(door, "voice_1")  # type: ignore[arg-type]
    used = [Spoken("gpt-realtime", n, 0, 0) for n in range(1, 4)]
    scribe.heard("When do you open?", "k1")
    scribe.told("At nine.", interrupted=False, last=True, used=used[0])  # the turn is over
    scribe.told("By the way.", interrupted=False, last=True, used=used[1], answers=False)
    scribe.told("At ten.", interrupted=False, last=True, used=used[2])  # its question is not known yet
    await scribe.settled()
    scribe.hung_up()
    await scribe.settled()
    assert door.counted == used
