"""What breaks while a customer talks, as the page tells it: speech that goes makes it text, a realtime model that goes
leaves the call. Through a real LiveKit server, with services of speech that can be taken down."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Route, expect

from agent_core import open_core, voice_lines
from agent_core.door import Invitation
from app.media import MediaServer
from tests.browser import in_browser
from tests.browser.caller import CALL_MS, Caller, Microphone
from tests.browser.calls import chatting, log, modes
from tests.browser.conftest import callable_here
from tests.browser.panel import Panel
from tests.browser.stage import Stage
from tests.scripted import Call, ScriptedModels, Step
from tests.voice.fake_realtime import FakeRealtime, Faults, Items, Say
from tests.voice.fake_speech import FakeSpeech, speech_service
from tests.voice.room import Place, place
from tests.wire_server import settings as settings_of

#: The time of waiting for other calls to end counts, too.
pytestmark = [in_browser[0], pytest.mark.livekit, pytest.mark.timeout(600)]

HOURS = "The store opens early in the morning."
EXPERT = ("An expert, please", "I am the expert.", "Hello there.", "How can I help?")
IN_WRITING = ("And in writing", "All right.")
#: The second agent of the small team speaks by a realtime model.
EXPERT_SPEAKS = "    voice: {modes: [realtime, pipeline]}\n"


@dataclass(frozen=True)
class Services:
    speech: FakeSpeech
    realtime: FakeRealtime
    url: str


def written(items: list[Any]) -> Step:
    """What the core's model answers."""
    last = items[-1]
    if last.get("type") == "function_call_output":
        return "I am the expert."
    steps: dict[str, Step] = {"expert": [Call("transfer_to_expert")], "open": HOURS}
    return next((step for word, step in steps.items() if word in str(last["content"]).casefold()), "All right.")


def said(items: Items) -> list[Any]:
    """What the realtime model answers."""
    (content,) = items[-1]["content"]
    return [Say("We open early, I think." if "open" in content["text"] else "How can I help?")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def services() -> AsyncIterator[Services]:
    speech, realtime = FakeSpeech(otherwise=""), FakeRealtime(said, aloud=True)
    async with speech_service(speech, realtime.serve) as url:
        yield Services(speech, realtime, url)
        await realtime.hang_up()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def here(services: Services, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """One server, one worker, one LiveKit: every test has a conversation of its own."""
    callable_here()
    folder = tmp_path_factory.mktemp("calls")
    chosen = settings_of(folder).model_copy(update={"voice_gate": "off"})  # what is tested here is no model
    with chosen.team_file.open("a") as team:
        team.write(EXPERT_SPEAKS)

    @asynccontextmanager
    async def core(*_steps: Any, **_how: Any) -> AsyncIterator[Any]:
        async with open_core(chosen, models=ScriptedModels(otherwise=written)) as door:
            yield door

    async with place(core, chosen, folder, speech=services.url) as out:
        yield out


async def asks_when_it_opens(caller: Caller, services: Services) -> None:
    services.speech.words.append("When do you open?")
    await caller.answers("When do you open?")


async def is_back_in_text(caller: Caller) -> None:
    """Told why, with the microphone closed."""
    await expect(caller.word).to_have_text(voice_lines.line("speech", "en"), timeout=CALL_MS)
    assert await caller.microphones("live") == 0
    await expect(caller.panel.button("End the call")).to_have_count(0)
    await expect(caller.panel.button("Talk with us")).to_be_visible(timeout=CALL_MS)


async def writes(panel: Panel, text: str) -> None:
    answers = panel.messages("agent").filter(has_text="All right.")
    before = await answers.count()
    await panel.say(text)
    await panel.hears("All right.", times=before + 1)


async def is_one_thread(town: Stage, panel: Panel, *wanted: str) -> None:
    """These words one after the other in the log, besides what was broken off; and the thread is the log, now and for
    whoever comes back."""
    said = [e for e in await log(town, panel) if e["type"] in ("message.added", "message.finished")]
    assert [e["text"].strip() for e in said if e.get("status", "complete") == "complete"] == list(wanted)
    bubbles = panel.root.locator("parley-message .bubble")
    all_of_it = [re.compile(f":\\s*{re.escape(e['text'].strip())}\\s*$") for e in said]
    await expect(bubbles).to_have_text(all_of_it)
    await panel.page.reload()
    await panel.open()
    await expect(bubbles).to_have_text(all_of_it)


async def test_an_ear_that_goes_ends_the_call_in_words_and_the_chat_goes_on_in_writing(
    town: Stage, services: Services, microphone: Microphone
) -> None:
    caller = await chatting(town, microphone)
    panel = caller.panel
    await writes(panel, "Hello")
    await caller.calls()
    await asks_when_it_opens(caller, services)
    await panel.hears(HOURS)
    await caller.hears_to_the_end("opens early")  # LiveKit is deaf while the first words of a call are spoken
    services.speech.ear = "down"
    await caller.mutes()
    await caller.answers("And at the weekend?")
    await is_back_in_text(caller)
    services.speech.ear = "up"
    await writes(panel, "And at the weekend?")
    assert await modes(town, panel, ["pipeline", "text"]) == [None, "speech_failed"]
    await is_one_thread(
        town, panel, "Hello", "All right.", "When do you open?", HOURS, "And at the weekend?", "All right."
    )


async def test_an_answer_that_no_voice_can_speak_stands_in_the_thread_whole_and_once(
    town: Stage, services: Services, microphone: Microphone
) -> None:
    services.speech.voice = "down"
    caller = await chatting(town, microphone)
    panel = caller.panel
    await caller.calls()
    await asks_when_it_opens(caller, services)
    await is_back_in_text(caller)
    await panel.hears(HOURS)
    services.speech.voice = "up"
    await writes(panel, "Thank you")
    assert await modes(town, panel, ["pipeline", "text"]) == [None, "speech_failed"]
    await is_one_thread(town, panel, "When do you open?", HOURS, "Thank you", "All right.")


async def test_a_realtime_model_whose_socket_is_cut_leaves_the_call_and_another_voice_goes_on(
    town: Stage, services: Services, microphone: Microphone
) -> None:
    realtime = services.realtime
    caller = await chatting(town, microphone)
    panel = caller.panel
    await panel.say(EXPERT[0])
    await panel.hears("I am the expert.")
    await caller.calls()
    await realtime.customer_says("Hello there.")
    await panel.hears("How can I help?")

    realtime.faults = Faults(close_after_words=3)
    await realtime.customer_says("When do you open?")
    notice = caller.bar.locator(".note")
    await expect(notice).to_have_text(voice_lines.line("pipeline", "en"), timeout=CALL_MS)
    await panel.hears(HOURS)
    await expect(panel.button("End the call")).to_be_visible()
    assert await caller.microphones("live") == 0  # muted, as it was before

    await caller.hears_to_the_end("opens early")
    services.speech.words.append("Thank you.")
    await caller.says("Thank you very much.", "thank")
    await expect(panel.messages("agent").last).to_contain_text("All right.")
    await writes(panel, IN_WRITING[0])
    await modes(town, panel, ["realtime", "pipeline"])
    await panel.button("End the call").click()
    assert await modes(town, panel, ["realtime", "pipeline", "text"]) == [None, "realtime_failed", "left"]
    await is_one_thread(town, panel, *EXPERT, "When do you open?", HOURS, "Thank you.", "All right.", *IN_WRITING)


async def test_a_call_that_nobody_comes_to_ends_in_words(town: Stage, here: Place, microphone: Microphone) -> None:
    context = await town.browser()
    await context.clock.install()
    caller = await chatting(town, microphone, context)
    panel = caller.panel
    await writes(panel, "Hello")
    invited = Invitation(f"voice_{'0' * 32}", "conv_1", "conv_1.empty", "customer-1", "pipeline")
    media = MediaServer(here.settings)
    await media._ask("RoomService/CreateRoom", {"roomCreate": True}, {"name": invited.room})
    ticket = {"session": invited.session, "url": media.url, "token": media.token(invited), "room": invited.room}
    given = asyncio.Event()

    async def give(route: Route) -> None:
        if route.request.method != "POST":
            await route.continue_()
            return
        await route.fulfill(status=201, body=json.dumps(ticket), content_type="application/json")
        given.set()

    await panel.page.route("**/voice", give)
    await panel.button("Talk with us").click()
    await panel.button("Start talking").click()
    await asyncio.wait_for(given.wait(), 60)
    await expect(caller.word).to_have_text("Connecting…")
    assert await caller.microphones("live") == 1
    await until_in(media, invited.room)
    await context.clock.fast_forward(30_000)
    await expect(caller.word).to_contain_text("Nobody can talk just now. Writing works;")
    assert await caller.microphones("live") == 0
    await writes(panel, "Hello again")
    await is_one_thread(town, panel, "Hello", "All right.", "Hello again", "All right.")


async def until_in(media: MediaServer, room: str) -> None:
    """The customer has joined it."""
    grants = {"roomAdmin": True, "room": room}
    async with asyncio.timeout(60):
        while True:
            found = await media._ask("RoomService/ListParticipants", grants, {"room": room})
            if found.get("participants"):
                return
            await asyncio.sleep(0.2)
