"""What can't be heard or said makes a call text again: one honest line, in the customer's language, and nothing lost."""

from __future__ import annotations

import asyncio

import pytest
from livekit.agents import APIConnectionError

from agent_core import voice_lines
from agent_core.events import MessageAdded, MessageFinished, MessageHeard, ModeChanged, TurnFinished
from tests.conftest import ANA
from tests.scripted import Call, Hold
from tests.voice.stage import Throat, calling

DOWN = APIConnectionError("the service is down", retryable=False)

#: Enough to be spoken while the tool runs: sentences are made to sound one after the other.
MOMENT = "One moment, please, I will do that for you right now. It can take a little while until it is done."


async def back_in_text(call, reason):
    changed = await call.watch.event(ModeChanged, mode="text")
    assert changed.reason == reason
    await asyncio.wait_for(call.voice.over.wait(), 60)
    return changed


async def test_an_ear_that_fails_makes_it_text_and_what_was_heard_is_answered_there(core, settings):
    hold = Hold()
    async with calling(core, settings, ["We open ", hold, "at nine."], "In writing.") as call:
        call.mouth.say("When do you open?")
        await asyncio.wait_for(hold.reached.wait(), 60)
        call.mouth.events.put_nowait(DOWN)
        changed = await back_in_text(call, "speech_failed")
        assert changed.aloud == voice_lines.line("speech", "en")
        hold.go.set()
        await call.voice.aclose()
        assert (await call.watch.event(TurnFinished)).status == "done"
        assert [m.text for m in call.events(MessageFinished)] == ["We open at nine."]
        assert [m.text for m in call.events(MessageAdded)] == ["When do you open?"]


async def test_a_voice_that_fails_leaves_the_whole_answer_in_writing(core, settings):
    throat = Throat()
    async with calling(core, settings, "We open at nine.", "In writing.", throat=throat) as call:
        throat.fails = DOWN
        call.mouth.say("When do you open?")
        await back_in_text(call, "speech_failed")
        await call.voice.aclose()
        assert (await call.watch.event(TurnFinished)).status == "done"
        assert [(m.text, m.status) for m in call.events(MessageFinished)] == [("We open at nine.", "complete")]
        assert call.events(MessageHeard) == []
        assert len(call.events(ModeChanged)) == 2  # one line, not two
        typed = await call.door.say(ANA, call.conversation, "And on Sunday?", client_message_id="t1")
        await call.watch.event(TurnFinished, turn=typed.turn, status="done")
        assert call.events(MessageFinished)[-1].text == "In writing."


async def test_a_voice_that_fails_in_the_middle_of_an_answer_does_not_stop_the_turn(core, settings, shop):
    throat = Throat()
    async with calling(core, settings, [f"{MOMENT} ", Call("slow")], "Done.", throat=throat) as call:
        throat.fails = DOWN
        call.mouth.say("Do the slow thing.")
        await asyncio.wait_for(shop.running.wait(), 60)
        await back_in_text(call, "speech_failed")
        await call.voice.aclose()
        shop.go.set()
        await call.watch.event(TurnFinished, status="done")
        assert [m.text.strip() for m in call.events(MessageFinished)] == [MOMENT, "Done."]
        assert shop.count("slow") == 1


async def test_a_voice_that_stutters_once_goes_on(core, settings):
    throat = Throat()
    async with calling(core, settings, "We open at nine.", throat=throat) as call:
        call.voice.live.on("error", lambda _error: setattr(throat, "fails", None))
        throat.fails = APIConnectionError("once", retryable=True)
        call.mouth.say("When do you open?")
        await call.ear.hears("We open at nine.", seconds=15)
        await call.watch.event(TurnFinished, status="done")
        await asyncio.wait_for(call.voice.live.wait_for_idle(), 60)
        assert not call.voice.over.is_set()
        assert call.voice.live.output.audio.seconds > 0


async def test_who_hangs_up_in_the_middle_of_an_answer_reads_the_rest(core, settings):
    hold = Hold()
    async with calling(core, settings, ["We open at nine, ", hold, "and close late."]) as call:
        call.mouth.say("When do you open?")
        await call.ear.hears("We open at nine,")
        assert await call.door.voice.leave(ANA, call.conversation)
        await asyncio.wait_for(call.voice.over.wait(), 60)
        await call.voice.aclose()
        hold.go.set()
        await call.watch.event(TurnFinished, status="done")
        assert [m.text for m in call.events(MessageFinished)] == ["We open at nine, and close late."]
        assert call.events(MessageHeard) == []


async def test_a_call_has_its_length_and_the_customer_is_told_before_it_ends(core, settings):
    async with calling(core, settings) as call:
        running = asyncio.create_task(call.voice.run_out(0.4, warned=0.2))
        await call.ear.hears(voice_lines.line("soon", "en"))
        await call.ear.hears(voice_lines.line("limit", "en"))
        changed = await back_in_text(call, "limit")
        assert changed.aloud == voice_lines.line("limit", "en")
        await asyncio.wait_for(running, 60)
        assert call.ear.spoken == [voice_lines.line("soon", "en"), voice_lines.line("limit", "en")]


async def test_what_is_asked_while_the_call_runs_out_is_answered_in_writing(core, settings):
    hold = Hold()
    async with calling(core, settings, ["We open ", hold, "at nine."]) as call:
        call.mouth.say("When do you open?")
        await asyncio.wait_for(hold.reached.wait(), 60)
        call.voice.end("limit", "limit")
        await back_in_text(call, "limit")
        await call.voice.aclose()
        hold.go.set()
        await call.watch.event(TurnFinished, status="done")
        assert [m.text for m in call.events(MessageFinished)] == ["We open at nine."]


@pytest.mark.parametrize(
    ("said", "language"),
    [("Guten Tag, ich habe eine Frage zu meiner Rechnung.", "de"), ("مرحبا، لدي سؤال عن الفاتورة.", "ar")],
)
async def test_the_line_is_in_the_conversations_language(core, settings, said, language):
    async with calling(core, settings, "Gerne.") as call:
        call.mouth.say(said)
        await call.ear.hears("Gerne.")
        call.mouth.events.put_nowait(DOWN)
        changed = await back_in_text(call, "speech_failed")
        assert changed.aloud == voice_lines.line("speech", language)


def test_there_is_each_line_in_each_language_and_it_fits():
    for which in ("pipeline", "speech", "lost", "soon", "limit"):
        lines = {voice_lines.line(which, language) for language in voice_lines.LANGUAGES}
        assert len(lines) == 5
        assert all(len(line) <= 400 for line in lines)
    assert voice_lines.line("lost", "nl") == voice_lines.line("lost", None) == voice_lines.line("lost", "en")
