"""A conversation as the customer has it: said, answered, stopped, repeated, cut off, and found again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Route, expect

from agent_core.errors import ModelUnavailable
from tests.browser import in_browser
from tests.browser.panel import until
from tests.browser.server import ServerProcess
from tests.browser.stage import Stage
from tests.scripted import Call, Fail, Hold

pytestmark = in_browser

LIMIT = 16 * 1024


async def test_a_step_without_a_title_that_is_done_is_not_said_to_be_under_way(stage: Stage) -> None:
    await stage.serve([Call("lookup", {"q": "a"}), Call("lookup", {"q": "b"})], "Here it is.")
    panel = await stage.chat()
    await panel.say("Look it up")
    await panel.hears("Here it is.")
    steps = panel.root.locator("parley-activity li")
    await expect(steps).to_have_count(2)
    assert [text.strip() for text in await steps.all_text_contents()] == ["1 step done"] * 2


async def test_an_answer_is_read_while_it_is_written(stage: Stage) -> None:
    hold = Hold()
    await stage.serve(["**Good** news: ", hold, "it is here."])
    panel = await stage.chat()
    await panel.say("Any news?")
    await hold.reached.wait()
    await expect(panel.messages("agent")).to_contain_text("Good news:")
    await expect(panel.root.locator(".caret strong")).to_have_text("Good")
    hold.go.set()
    await panel.hears("it is here.")
    assert await panel.texts("user") == ["Any news?"]


async def test_the_newest_words_stay_in_sight_unless_the_reader_has_gone_up(stage: Stage) -> None:
    lines = "\n\n".join(f"Paragraph {n}." for n in range(60))
    hold = Hold()
    await stage.serve([lines, hold], "Short.")
    panel = await stage.chat()
    await panel.say("Everything, please")
    await hold.reached.wait()
    await expect(panel.thread.get_by_text("Paragraph 59.")).to_be_in_viewport()
    scroll = panel.root.locator("parley-log .scroll")
    await scroll.hover()
    await panel.page.mouse.wheel(0, -3000)
    await expect(panel.button("Newest messages")).to_be_visible()
    hold.go.set()
    await panel.hears("Paragraph 59.")
    assert await scroll.evaluate("s => s.scrollTop") < 100
    await panel.button("Newest messages").click()
    await expect(panel.thread.get_by_text("Paragraph 59.")).to_be_in_viewport()


async def test_what_the_assistant_does_is_said_in_the_customers_words(stage: Stage) -> None:
    await stage.serve([Call("lookup", {"q": "answer"})], [Call("refuse", {"why": "closed"})], "It is 42.")
    panel = await stage.chat()
    await panel.say("What is it?")
    await panel.hears("It is 42.")
    activity = panel.root.locator("parley-activity")
    await expect(activity.locator("summary")).to_have_text("2 steps done")
    await activity.locator("summary").click()
    await expect(activity.locator("li")).to_have_count(2)
    await expect(activity.locator("li").nth(1)).to_contain_text("did not work")


async def test_a_stopped_answer_ends_at_once_and_keeps_what_was_said(stage: Stage) -> None:
    hold = Hold()
    await stage.serve(["As I was saying, ", hold, "never said."])
    panel = await stage.chat()
    await panel.say("Tell me")
    await expect(panel.messages("agent")).to_contain_text("As I was saying,")
    await panel.button("Stop the answer").click()
    await expect(panel.messages("agent")).to_contain_text("stopped")
    await panel.hears("As I was saying,")
    await expect(panel.button("Send")).to_be_visible()


async def test_a_turn_that_failed_says_so_and_is_tried_again(stage: Stage) -> None:
    await stage.serve([Fail(ModelUnavailable("down"))], "There you are.")
    panel = await stage.chat()
    await panel.say("Hello?")
    failed = panel.root.locator(".failed")
    await expect(failed).to_be_visible()
    await panel.button("Try again", within=failed).click()
    await panel.hears("There you are.")
    assert await panel.texts("user") == ["Hello?", "Hello?"]
    await expect(failed).to_have_count(0)


async def test_what_was_said_can_be_copied_changed_and_rated(stage: Stage) -> None:
    await stage.serve("You meant **Berlin**?", "Bremen it is.")
    context = await stage.browser(permissions=["clipboard-read", "clipboard-write"])
    panel = await stage.chat(context)
    await panel.say("From Berlin")
    await panel.hears("You meant Berlin?")
    await panel.button("Copy", within=panel.messages("agent")).click()
    await expect(panel.button("Copied")).to_be_visible()
    await panel.box.press("Control+v")
    await expect(panel.box).to_have_value("You meant **Berlin**?")
    await panel.button("Good answer").click()
    await expect(panel.button("Good answer")).to_have_attribute("aria-pressed", "true")
    assert await stage.counted("feedback.given", rating="up") == 1

    await panel.messages("user").hover()
    await panel.button("Edit", within=panel.messages("user")).click()
    await expect(panel.box).to_have_value("From Berlin")
    await expect(panel.box).to_be_focused()
    await panel.say("From Bremen")
    await panel.hears("Bremen it is.")
    assert await panel.texts("user") == ["From Berlin", "From Bremen"]


async def test_prompts_of_the_owner_begin_a_conversation(stage: Stage) -> None:
    site = {"greeting": {"en": "Hello, how can I help?"}, "starters": {"en": ("Where is my order?", "Prices")}}
    await stage.serve("On its way.", site=site)
    panel = await stage.chat()
    await expect(panel.messages("agent")).to_contain_text("Hello, how can I help?")
    await panel.button("Where is my order?").click()
    await panel.hears("On its way.")
    assert await panel.texts("user") == ["Where is my order?"]
    await expect(panel.button("Prices")).to_have_count(0)


async def test_nothing_longer_than_the_limit_is_sent_and_the_customer_sees_by_how_much(stage: Stage) -> None:
    await stage.serve("A long story.")
    panel = await stage.chat()
    await panel.box.fill("ü" * (LIMIT // 2) + "abc")
    await expect(panel.root.get_by_text("Too long by 3 bytes")).to_be_visible()
    await expect(panel.button("Send")).to_be_disabled()
    await panel.box.press("Enter")
    await expect(panel.messages("user")).to_have_count(0)
    await panel.box.fill("ü" * (LIMIT // 2))
    await panel.box.press("Enter")
    await panel.hears("A long story.")


async def test_shift_and_enter_begins_a_line(stage: Stage) -> None:
    await stage.serve("Two lines.")
    panel = await stage.chat()
    await panel.box.fill("One")
    await panel.box.press("Shift+Enter")
    await panel.box.press_sequentially("two")
    await panel.box.press("Enter")
    await panel.hears("Two lines.")
    assert await panel.texts("user") == ["One\ntwo"]


# ---- found again


async def test_a_conversation_is_there_again_after_a_reload(stage: Stage) -> None:
    await stage.serve("First answer.", "Second answer.")
    panel = await stage.chat()
    await panel.say("First")
    await panel.hears("First answer.")
    await panel.page.reload()
    await panel.open()
    await panel.hears("First answer.")
    await panel.say("Second")
    await panel.hears("Second answer.")
    assert await panel.texts("user") == ["First", "Second"]
    assert await panel.texts("agent") == ["First answer.", "Second answer."]


async def test_an_answer_goes_on_while_the_page_is_loaded_anew(stage: Stage) -> None:
    hold, later = Hold(), Hold()
    await stage.serve(["One, two, ", hold, "three, ", later, "four."])
    panel = await stage.chat()
    await panel.say("Count")
    await expect(panel.messages("agent")).to_contain_text("One, two,")
    await panel.page.reload()
    hold.go.set()
    await later.reached.wait()
    await panel.open()
    await expect(panel.messages("agent")).to_contain_text("One, two, three,")
    later.go.set()
    await panel.hears("One, two, three, four.")


async def test_a_new_conversation_is_empty_and_the_old_one_is_kept(stage: Stage) -> None:
    await stage.serve("About shoes.", "About hats.")
    panel = await stage.chat()
    await panel.say("Shoes")
    await panel.hears("About shoes.")
    await panel.menu("New conversation")
    await expect(panel.messages("user")).to_have_count(0)
    await expect(panel.box).to_be_focused()
    await panel.button("More").click()
    await expect(panel.root.locator("parley-menu li")).to_contain_text("Shoes")
    await panel.button("More").press("Escape")
    await panel.say("Hats")
    await panel.hears("About hats.")
    await panel.button("More").click()
    await panel.root.locator("parley-menu li", has_text="Shoes").get_by_role("button").click()
    await panel.hears("About shoes.")
    assert await panel.texts("user") == ["Shoes"]


async def test_the_earlier_conversations_do_not_move_under_the_finger(stage: Stage) -> None:
    await stage.serve("About shoes.", "About hats.")
    panel = await stage.chat()
    await panel.say("Shoes")
    await panel.hears("About shoes.")
    lines = panel.root.locator("parley-menu li")
    await panel.menu("New conversation")
    await panel.say("Hats")
    await panel.hears("About hats.")
    asked, answered = asyncio.Event(), asyncio.Event()

    async def slow(route: Route) -> None:
        asked.set()
        await answered.wait()
        await route.continue_()

    await panel.page.route("**/conversations?limit=20", slow)
    await panel.button("More").click()
    await asked.wait()
    await expect(lines).to_have_count(0)
    answered.set()
    await expect(lines).to_have_count(2)
    await lines.filter(has_text="Shoes").get_by_role("button").click()
    await panel.hears("About shoes.")


async def test_two_tabs_show_the_same_while_it_happens(stage: Stage) -> None:
    hold = Hold()
    await stage.serve("Hello.", ["To both ", hold, "of you."])
    context = await stage.browser()
    one = await stage.chat(context)
    await one.say("First tab")
    await one.hears("Hello.")
    two = await stage.chat(context)
    await two.hears("Hello.")
    await two.say("Second tab")
    for panel in (one, two):
        await expect(panel.messages("agent").last).to_contain_text("To both")
    hold.go.set()
    for panel in (one, two):
        await panel.hears("of you.")
        assert await panel.texts("user") == ["First tab", "Second tab"]


async def test_a_tab_that_was_open_before_anything_was_said_joins_in(stage: Stage) -> None:
    await stage.serve("Heard in both.")
    context = await stage.browser()
    one, two = await stage.chat(context), await stage.chat(context)
    await two.say("Hello")
    for panel in (one, two):
        await panel.hears("Heard in both.")
        assert await panel.texts("user") == ["Hello"]


# ---- cut off


async def test_what_is_written_without_a_connection_is_sent_once_when_it_is_back(stage: Stage) -> None:
    await stage.serve("Hello.", "One.", "Two.")
    context = await stage.browser()
    panel = await stage.chat(context)
    await panel.say("Hello")
    await panel.hears("Hello.")
    await context.set_offline(True)
    await expect(panel.notice).to_have_text("You are offline. What you write is sent later.")
    await panel.say("Message one")
    await panel.say("Message two")
    await expect(panel.root.get_by_text("Will be sent when the connection is back")).to_have_count(2)
    await context.set_offline(False)
    await panel.hears("Two.")
    await expect(panel.notice).to_be_hidden()
    assert await panel.texts("user") == ["Hello", "Message one", "Message two"]
    assert await stage.counted("message.added", role="user") == 3


async def test_what_waits_to_be_sent_survives_a_reload_and_can_be_dropped(stage: Stage) -> None:
    served = await stage.serve("Hello.", "Only this one.")
    context = await stage.browser()
    panel = await stage.chat(context)
    await panel.say("Hello")
    await panel.hears("Hello.")
    await context.route(f"{served.address}/conversations/**", lambda route: route.abort())
    await panel.say("Drop me")
    await panel.say("Keep me")
    await panel.page.reload()
    await panel.open()
    dropped = panel.messages("user").filter(has_text="Drop me")
    await panel.button("Discard", within=dropped).click()
    await expect(dropped).to_have_count(0)
    await context.unroute_all()
    await panel.hears("Only this one.")
    assert await panel.texts("user") == ["Hello", "Keep me"]


@pytest_asyncio.fixture(loop_scope="session")
async def process(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    out = ServerProcess(tmp_path)
    await out.start()
    yield out
    await out.kill()


async def test_a_server_killed_in_the_middle_of_an_answer_costs_the_customer_a_moment(
    stage: Stage, process: ServerProcess
) -> None:
    panel = await stage.chat(parley=process.address)
    await panel.say("long")
    await expect(panel.messages("agent")).to_contain_text("word9 ")
    await process.kill()
    await panel.say("And another thing")
    await expect(panel.notice).to_have_text("Connection lost. Reconnecting…")
    await process.start()
    await panel.hears("You said: And another thing")
    await expect(panel.notice).to_be_hidden()
    answers = await panel.texts("agent")
    assert answers[-1] == "You said: And another thing"
    whole = " ".join(f"word{n}" for n in range(100))
    assert " ".join(" ".join(answers[:-1]).split()).endswith(whole)
    assert await panel.texts("user") == ["long", "And another thing"]


# ---- people


async def test_a_person_joins_replies_and_leaves_again(stage: Stage) -> None:
    served = await stage.serve("I am the assistant.", "Back again.", site={"name": "The Shop"})
    panel = await stage.chat()
    await panel.say("I want a person")
    await panel.hears("I am the assistant.")
    (line,) = (await served.http.get("/operator/conversations", headers=served.operator)).json()["conversations"]
    place = f"/operator/conversations/{line['conversation']}"
    assert (await served.http.post(f"{place}/floor", headers=served.operator)).status_code == 200
    await expect(panel.root.get_by_role("heading", name="Maya")).to_be_visible()
    await expect(panel.thread.get_by_text("Maya is here now")).to_be_visible()
    words = {"client_message_id": "o1", "text": "Hello, *this* is Maya."}
    await served.http.post(f"{place}/messages", json=words, headers=served.operator)
    await expect(panel.messages("operator")).to_contain_text("this is Maya.")
    await panel.say("Good to hear")
    await expect(panel.root.get_by_text("Sending…")).to_have_count(0)
    await served.http.delete(f"{place}/floor", headers=served.operator)
    await expect(panel.thread.get_by_text("Maya has left. The assistant is back.")).to_be_visible()
    await expect(panel.root.get_by_role("heading", name="The Shop")).to_be_visible()
    await panel.say("Are you there?")
    await panel.hears("Back again.")


# ---- elsewhere


async def test_the_chat_goes_on_in_a_window_of_its_own(stage: Stage) -> None:
    served = await stage.serve("In a window.")
    context = await stage.browser()
    panel = await stage.chat(context)
    await panel.button("More").click()
    async with context.expect_page() as opened:
        await panel.button("Open in a window").click()
    page = await opened.value
    assert page.url == f"{served.address}/widget/demo?mode=page"
    await page.locator("parley-composer textarea").fill("Hello")
    await page.locator("parley-composer textarea").press("Enter")
    await expect(page.locator('parley-message[role-of="agent"]')).to_contain_text("In a window.")


@pytest.mark.parametrize("width", [390])
async def test_on_a_telephone_it_fills_the_screen(stage: Stage, width: int) -> None:
    await stage.serve()
    panel = await stage.chat(await stage.browser(viewport={"width": width, "height": 800}, has_touch=True))
    assert await panel.host.locator(".panel").bounding_box() == {"x": 0, "y": 0, "width": width, "height": 800}
    await expect(panel.launcher).to_be_hidden()
    await panel.button("Close chat").click()
    await expect(panel.launcher).to_be_visible()
    await until(panel.page.locator("body"), "document.activeElement.localName === 'parley-widget'")
