"""Whatever a model writes, what is said are words; and the captions are what is said."""

from __future__ import annotations

import asyncio

from agent_core.events import MessageFinished, TurnFinished
from tests.scripted import Hold
from tests.voice.stage import Throat, calling

TABLE = "# Plans\n\n| Plan | Price |\n|---|---|\n| **Pure S** | 9.99 |\n| **Pure M** | 14.99 |\n\n"
AFTER = "The `pure-s` is the **cheapest**: see [the page](https://shop.example/plans?id=1). 😀"


async def test_a_table_is_not_read_and_marks_are_not_said(core, settings):
    throat = Throat()
    async with calling(core, settings, TABLE + AFTER, throat=throat) as call:
        call.mouth.say("Which plans are there?")
        await call.ear.hears("see the page.")
        await call.watch.event(TurnFinished)
        await call.voice.live.wait_for_idle()
        wanted = "Plans You see it on your screen. The pure-s is the cheapest: see the page."
        assert " ".join(" ".join(throat.said).split()) == wanted
        assert " ".join(call.ear.everything.split()).removesuffix(" 😀") == wanted
        assert [m.text for m in call.events(MessageFinished)] == [TABLE + AFTER]


async def test_who_breaks_in_after_hearing_of_a_list_still_has_it_on_the_screen(core, settings):
    hold = Hold()
    text = "Here are two:\n\n- Pure S\n- Pure M\n\n"
    async with calling(core, settings, [text, hold, "Which one do you want?"], "Gladly.") as call:
        call.mouth.say("Which plans are there?")
        await asyncio.wait_for(hold.reached.wait(), 60)
        await call.ear.hears("You see it on your screen.")
        call.mouth.say("The second one.")
        await call.watch.event(TurnFinished, status="stopped")
        await call.ear.hears("Gladly.")
        await call.voice.settled()
        assert [i["content"].strip() for i in call.model_saw()[-1]] == [
            "Which plans are there?",
            text.strip(),
            "The second one.",
        ]
