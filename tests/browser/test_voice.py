"""The customer clicks the microphone: a real call, with sound, through a real LiveKit server and the voice worker."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Route, expect

from agent_core import open_core
from tests.browser import axe, cards, in_browser
from tests.browser.caller import CALL_MS, Microphone, word_errors
from tests.browser.calls import chatting, log, logged, modes
from tests.browser.conftest import callable_here
from tests.browser.panel import until
from tests.browser.stage import Stage
from tests.scripted import Call, ScriptedModels, Step
from tests.voice.room import Place, place
from tests.wire_server import settings as settings_of

#: The time of waiting for other calls to end counts, too.
pytestmark = [in_browser[0], pytest.mark.livekit, pytest.mark.timeout(600)]

HOURS = "The store opens early in the morning."
STORY = (
    "Once there was a small shop at the end of a long street. "
    + "Many friendly people came in and went out again. " * 5
)
OFFERED = "Have a look at your screen. I have put an offer there for you."
LOCK = Call("lock", {"card": "4711"})
ENDED = "The call has ended. You can go on in writing."


def answer(items: list[Any]) -> Step:
    """By a word of what was said last: an ear may mishear the others."""
    last = items[-1]
    if last.get("type") == "function_call_output":
        name = next(item["name"] for item in reversed(items) if item.get("type") == "function_call")
        return OFFERED if name == "displayOffer" else "The card is locked now."
    said = str(last["content"]).casefold()
    steps: dict[str, Step] = {
        "accept": "Thank you. It is yours.",
        "open": HOURS,
        "offer": [cards.OFFER],
        "lock|card": [LOCK],
        "stor|tell me": STORY,
    }
    return next((step for words, step in steps.items() if re.search(words, said)), "All right.")


#: What a screen reader is told.
SAID = """region => {
  const said = (window.said = []);
  const options = { childList: true, characterData: true, subtree: true };
  new MutationObserver(() => region.textContent && said.push(region.textContent)).observe(region, options);
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """One server, one worker, one LiveKit: every test has a conversation of its own."""
    callable_here()
    folder = tmp_path_factory.mktemp("calls")
    chosen = settings_of(folder)

    @asynccontextmanager
    async def core(*_steps: Any, **_how: Any) -> AsyncIterator[Any]:
        async with open_core(chosen, models=ScriptedModels(otherwise=answer)) as door:
            yield door

    async with place(core, chosen, folder) as out:
        yield out


@pytest.fixture(autouse=True)
def stocked() -> None:
    cards.stock()


async def test_a_conversation_goes_from_writing_to_speaking_and_back(town: Stage, microphone: Microphone) -> None:
    caller = await chatting(town, microphone)
    panel = caller.panel
    for text in ("Hello", "Good morning"):
        await panel.say(text)
    await panel.hears("All right.", times=2)

    await panel.button("Talk with us").click()
    await expect(caller.bar).to_contain_text("Your browser asks for your microphone next.")
    assert await caller.microphones("live") == 0
    await caller.agrees()
    assert await caller.microphones("live") == 1
    await caller.mutes()
    assert await caller.microphones("live") == 0

    await caller.records()
    await caller.says("When do you open?", "open")
    await panel.hears(HOURS)
    await caller.hears_to_the_end("opens early")
    assert word_errors(HOURS, await caller.heard()) <= 0.2

    await caller.says("Please make me an offer.", "offer")
    await caller.hears("your screen")
    await expect(caller.word).to_have_text("Speaking")
    await expect(panel.card("offer")).to_have_count(1)
    await panel.button("Accept").click()
    await expect(panel.card("offer")).to_contain_text("Accepted")
    await caller.hears_to_the_end("It is")

    await caller.says("Please lock my card.", "lock|card")
    await expect(panel.card("approval")).to_contain_text("4711")
    await caller.hears_to_the_end("Shall I do that?")
    await caller.answers("Yes, please.")
    await expect(panel.card("approval")).to_contain_text("You confirmed this", timeout=CALL_MS)
    await caller.mutes()
    await caller.hears_to_the_end("The card is")

    await caller.says("Tell me a story.", "stor|tell me")
    await caller.hears("long street")
    await caller.says("Stop please, that is enough for me.", "stop|enough")
    story = panel.messages("agent").filter(has_text="Once there was")
    await expect(story).to_contain_text("broken off")
    (cut,) = await story.locator(".bubble").all_text_contents()
    assert cut.count("friendly") < STORY.count("friendly")
    await caller.hears_to_the_end("All right")

    await panel.button("End the call").click()
    await expect(caller.word).to_have_text(ENDED)
    assert await caller.microphones("live") == 0
    await panel.say("Thank you")
    await expect(caller.word).to_have_count(0)
    await expect(panel.messages("user").last).to_contain_text("Thank you")
    last = panel.root.locator("parley-log .entry").last
    await expect(last).to_contain_text("Assistant: All right.")
    said = [event for event in await log(town, panel) if event["type"] == "message.added"]
    assert await panel.texts("user") == [event["text"] for event in said]
    order = "hello .*morning .*open.* .*offer.* .*(lock|card).* .*(stor|tell).* .*(stop|enough).* thank you"
    assert re.fullmatch(order, " ".join(event["text"] for event in said).casefold())
    assert [e["text"] for e in said if e.get("mode") != "voice"] == ["Hello", "Good morning", "Thank you"]


async def test_what_the_agent_shows_comes_over_the_line_and_stands_in_the_thread_once(
    town: Stage, microphone: Microphone
) -> None:
    context = await town.browser()
    await context.route("**/acknowledgement", lambda route: route.abort())  # so that only the line can tell
    caller = await chatting(town, microphone, context)
    await caller.calls()
    await caller.says("Please make me an offer.", "offer")
    await expect(caller.panel.card("offer")).to_have_count(1)
    await caller.panel.hears(OFFERED)
    await expect(caller.panel.card("offer")).to_have_count(1)
    (shown,) = await logged(town, caller.panel, "deliverable.acknowledged", 1)
    assert shown["version"] == 1


async def test_a_first_word_may_be_spoken_and_the_call_ends_with_the_page(town: Stage, microphone: Microphone) -> None:
    caller = await chatting(town, microphone)
    panel = caller.panel
    await caller.calls()
    await caller.says("When do you open?", "open")
    await panel.hears(HOURS)
    await panel.page.reload()
    await panel.open()
    await panel.hears(HOURS)
    await expect(panel.button("Talk with us")).to_be_visible()
    assert await caller.microphones("live") == 0
    await modes(town, panel, ["pipeline", "text"])
    await panel.say("Hello again")
    await panel.hears("All right.")


async def test_a_second_tab_takes_the_call_over_and_the_first_one_says_so(town: Stage, microphone: Microphone) -> None:
    context = await town.browser()
    first = await chatting(town, microphone, context)
    await first.calls()
    second = await chatting(town, microphone, context)
    await second.panel.button("Talk with us").click()
    await expect(second.bar).to_contain_text("You are in a call in another window or on another device.")
    await second.panel.button("Start talking").click()
    await expect(first.word).to_contain_text("The call goes on in another window")
    assert await first.microphones("live") == 0
    await expect(second.word).to_have_text("Listening", timeout=CALL_MS)
    assert await modes(town, second.panel, ["pipeline", "text", "pipeline"]) == [None, "taken_over", None]
    await second.panel.button("End the call").click()
    await modes(town, second.panel, ["pipeline", "text", "pipeline", "text"])


async def test_a_ticket_that_comes_when_another_conversation_was_chosen_opens_no_line(
    town: Stage, microphone: Microphone
) -> None:
    context = await town.browser()
    # The chat waits 20 seconds for a ticket; on a busy machine the worker takes longer.
    await context.add_init_script("AbortSignal.timeout = () => new AbortController().signal")
    caller = await chatting(town, microphone, context)
    panel = caller.panel
    await panel.say("Hello")
    await panel.hears("All right.")
    asked, chosen = asyncio.Event(), asyncio.Event()

    async def late(route: Route) -> None:
        if route.request.method == "POST":
            ticket = await route.fetch()
            asked.set()
            await chosen.wait()
            await route.fulfill(response=ticket)
        else:
            await route.continue_()

    await panel.page.route("**/voice", late)
    await panel.button("Talk with us").click()
    await panel.button("Start talking").click()
    await asyncio.wait_for(asked.wait(), 60)
    await modes(town, panel, ["pipeline"])  # the worker is there before the ticket is
    await panel.menu("New conversation")
    await expect(caller.word).to_have_text(ENDED)
    assert await caller.microphones("live") == 0
    chosen.set()
    await panel.say("Another one")
    await panel.hears("All right.")
    await panel.button("More").click()
    await panel.root.locator("parley-menu li", has_text="Hello").get_by_role("button").click()
    await modes(town, panel, ["pipeline", "text"])
    assert await caller.microphones("live") == 0


async def test_a_call_ends_when_another_tab_goes_on_elsewhere_also_out_of_sight(
    town: Stage, microphone: Microphone
) -> None:
    context = await town.browser()
    caller = await chatting(town, microphone, context)
    await caller.calls()
    await caller.frame.evaluate("() => { window.requestAnimationFrame = () => 0; }")  # nothing is drawn there
    second = await town.chat(context)
    await second.menu("New conversation")
    await second.say("Hello")
    await second.hears("All right.")
    await expect(caller.word).to_have_text(ENDED)
    assert await caller.microphones("live") == 0


@pytest.mark.parametrize("look", [{}, {"color_scheme": "dark"}, {"viewport": {"width": 320, "height": 640}}], ids=str)
async def test_nothing_is_opened_unasked_and_a_closed_chat_has_no_open_microphone(
    town: Stage, microphone: Microphone, look: dict[str, Any]
) -> None:
    caller = await chatting(town, microphone, await town.browser(**look))
    panel = caller.panel
    await panel.button("Talk with us").press("Enter")
    await expect(panel.button("Start talking")).to_be_focused()
    assert await axe.violations(panel.page) == []
    await panel.page.keyboard.press("Escape")
    await expect(panel.box).to_be_focused()
    assert await caller.microphones("live") == 0
    told = panel.chat.locator("> [aria-live]")
    await told.evaluate(SAID)
    await panel.button("Talk with us").press("Enter")
    await panel.page.keyboard.press("Enter")
    await expect(caller.word).to_have_text("Listening", timeout=CALL_MS)
    assert await axe.violations(panel.page) == []
    await panel.button("Choose a microphone").click()
    await expect(caller.bar.locator("option")).not_to_have_count(0)
    await panel.page.keyboard.press("Escape")
    await expect(caller.word).to_have_text("Listening")
    await panel.button("Close chat").first.click()
    assert await caller.microphones("live") == 0
    await panel.open()
    await expect(caller.word).to_have_text(ENDED)
    assert await axe.violations(panel.page) == []
    await until(told, "window.said.length >= 3")
    assert await told.evaluate("() => window.said") == [
        "Connecting…",
        "The call is on. Please speak.",
        ENDED,
    ]


def refusing(status: int, code: str) -> Callable[[Route], Awaitable[None]]:
    """A server that gives nobody a ticket."""
    refusal = json.dumps({"error": {"code": code, "message": "No."}})

    async def refuse(route: Route) -> None:
        if route.request.method == "POST":
            await route.fulfill(status=status, body=refusal, content_type="application/json")
        else:
            await route.continue_()

    return refuse


async def test_what_keeps_a_call_from_coming_about_is_told(town: Stage, microphone: Microphone) -> None:
    caller = await chatting(town, microphone)
    panel = caller.panel
    await panel.page.route("**/voice", refusing(409, "conflict"))
    await panel.button("Talk with us").click()
    await panel.button("Start talking").click()
    await expect(caller.word).to_have_text("You are speaking with us on another device already.")
    assert await caller.microphones("live") == 0
    await panel.page.unroute("**/voice")
    await panel.page.route("**/voice", refusing(503, "voice_unavailable"))
    await panel.button("Talk with us").click()
    await expect(caller.word).to_contain_text("Nobody can talk just now.")
    assert await caller.microphones("live") == 0
    await caller.frame.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotAllowedError'); }; }"
    )
    await panel.button("Talk with us").click()
    await expect(caller.word).to_contain_text("The microphone is not allowed here.")
    await panel.button("Got it").click()
    await expect(caller.word).to_have_count(0)
    assert [event for event in await log(town, panel) if event["type"] == "mode.changed"] == []


async def test_a_worker_killed_in_the_middle_of_its_words_is_told_and_writing_goes_on(
    town: Stage, here: Place, microphone: Microphone
) -> None:
    caller = await chatting(town, microphone)
    panel = caller.panel
    await caller.calls()
    await caller.says("Tell me a story.", "stor|tell me")
    await caller.hears("small shop")
    await here.worker.end(signal.SIGKILL)
    await expect(caller.word).to_contain_text("the voice connection broke", timeout=CALL_MS)
    assert await caller.microphones("live") == 0
    await expect(panel.button("Talk with us")).to_have_count(0)
    await panel.say("Are you there?")
    await panel.hears("All right.")
    await panel.hears("people came in and went out again.")


async def test_a_media_server_that_goes_ends_the_call_in_words_and_can_be_called_when_it_is_back(
    town: Stage, here: Place, microphone: Microphone
) -> None:
    if here.worker.process.returncode is not None:
        await here.new_worker()
    caller = await chatting(town, microphone)
    panel = caller.panel
    await caller.calls()
    await here.media.end(signal.SIGKILL)
    await expect(caller.word).to_contain_text("voice connection broke", timeout=CALL_MS)
    assert await caller.microphones("live") == 0
    await panel.say("Are you there?")
    await panel.hears("All right.")
    await here.offers_calls(now=False)
    await here.new_media_server()
    await here.offers_calls()
    await panel.page.reload()
    await panel.open()
    await panel.button("Talk with us").click(timeout=CALL_MS)
    await expect(caller.word).to_have_text("Listening", timeout=CALL_MS)
    await panel.button("End the call").click()
