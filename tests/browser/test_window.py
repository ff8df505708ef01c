"""The chat in a window of its own: it goes on with the conversation of the frame that opened it, and keeps nothing."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.browser import in_browser
from tests.browser.panel import Panel
from tests.browser.stage import Stage, window

pytestmark = in_browser

KEPT = "() => Object.keys(localStorage)"


async def popped_out(panel: Panel) -> Page:
    async with panel.page.context.expect_page() as opened:
        await panel.menu("Open in a window")
    return await opened.value


async def test_a_window_goes_on_where_the_frame_is_and_both_show_the_same(stage: Stage) -> None:
    await stage.serve("First answer.", "Second answer.")
    panel = await stage.chat()
    await panel.say("First")
    await panel.hears("First answer.")
    own = window(await popped_out(panel))
    await own.hears("First answer.")
    await own.say("Second")
    await own.hears("Second answer.")
    await panel.hears("Second answer.")
    assert await panel.texts("user") == await own.texts("user") == ["First", "Second"]
    assert await own.page.evaluate(KEPT) == []


async def test_a_window_that_is_loaded_again_asks_again(stage: Stage) -> None:
    await stage.serve("First answer.")
    panel = await stage.chat()
    await panel.say("First")
    await panel.hears("First answer.")
    page = await popped_out(panel)
    await page.reload()
    await window(page).hears("First answer.")


async def test_a_logout_closes_the_windows_that_were_opened(stage: Stage) -> None:
    await stage.serve("First answer.")
    panel = await stage.chat()
    await panel.say("First")
    page = await popped_out(panel)
    await expect(window(page).box).to_be_visible()
    async with page.expect_event("close"):
        await panel.order("logout")
