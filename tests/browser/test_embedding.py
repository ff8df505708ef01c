"""One line on a host's page, whatever that page is like: strict, old, twice, swapped, a stranger's."""

from __future__ import annotations

import json
import time
from pathlib import Path

import jwt
import pytest
from playwright.async_api import Browser, expect

from agent_core.site import Site, identity_secret
from tests.browser import in_browser
from tests.browser.panel import Panel
from tests.browser.stage import ARGUMENTS, CHROMIUM, OPENED, Stage
from tests.scripted import Hold

pytestmark = in_browser


async def test_one_line_puts_the_chat_on_a_page_whose_policy_allows_nothing_else(stage: Stage) -> None:
    await stage.serve("Good to see you.")
    panel = await stage.visit()
    await expect(panel.launcher).to_have_accessible_name("Open chat")
    await panel.open()
    await panel.say("Hello")
    await panel.hears("Good to see you.")


async def test_the_frame_is_called_as_the_site_is(stage: Stage) -> None:
    await stage.serve(site={"name": "The Kiosk"})
    panel = await stage.chat()
    await expect(panel.host.locator("iframe")).to_have_attribute("title", "The Kiosk")


async def test_the_page_can_not_reach_into_the_launcher_nor_into_the_frame(stage: Stage, chromium: Browser) -> None:
    served = await stage.serve()
    context = await chromium.new_context()
    stage.host.put("/closed", served.address)
    page = await context.new_page()
    async with page.expect_event("framenavigated", lambda frame: frame.url.startswith(served.address)):
        await page.goto(stage.host.origin() + "/closed")
    assert await page.evaluate("document.querySelector('parley-widget').shadowRoot") is None
    assert await page.evaluate("window.frames.length") == 0
    await context.close()


async def test_calls_made_before_the_script_came_are_done_when_it_is_there(stage: Stage) -> None:
    served = await stage.serve("Here I am.")
    context = await stage.browser()
    await context.add_init_script(
        "if (window === top) { const q = []; window.parley = function () { q.push(arguments); }; parley.q = q; window.told = [];"
        "parley('on', 'ready', () => told.push('ready')); parley('on', 'open', () => told.push('open'));"
        "parley('open'); parley('say', 'Is anybody there?'); }"
    )
    panel = await stage.visit(context, parley=served.address)
    await panel.hears("Here I am.")
    assert await panel.texts("user") == ["Is anybody there?"]
    assert sorted(await panel.page.evaluate("told")) == ["open", "ready"]


async def test_a_frame_whose_files_are_of_a_build_that_has_gone_is_loaded_anew(stage: Stage) -> None:
    served = await stage.serve("Good to see you.")
    context = await stage.browser()
    await context.clock.install()
    await context.route(f"{served.address}/assets/widget-*.js", lambda route: route.fulfill(status=404))
    panel = await stage.visit(context)
    await panel.launcher.click()
    frame = await panel.host.locator("iframe").element_handle()
    inside = await frame.content_frame()
    assert inside is not None
    await inside.wait_for_load_state("load")
    await expect(panel.chat).to_have_count(0)
    await context.unroute_all()
    await context.clock.fast_forward(10_000)
    await expect(panel.box).to_be_visible(timeout=40_000)
    await panel.say("Hello")
    await panel.hears("Good to see you.")


async def test_the_line_twice_on_a_page_is_one_chat(stage: Stage) -> None:
    await stage.serve()
    panel = await stage.chat(lines=2)
    assert await panel.page.locator("parley-widget").count() == 1
    assert len(panel.page.frames) == 2


async def test_an_inline_chat_is_in_its_place_and_needs_no_launcher(stage: Stage) -> None:
    await stage.serve("In the page.")
    panel = await stage.visit(mode="inline", target="#here")
    await expect(panel.box).to_be_visible()
    assert await panel.page.locator("#here > parley-widget").count() == 1
    assert await panel.launcher.count() == 0
    await panel.say("Hello")
    await panel.hears("In the page.")


SWAPS = {
    "another body": "() => { const b = document.createElement('body'); b.append('Next page'); document.body = b; }",
    "an emptied body": "() => document.body.replaceChildren('Next page')",
}


@pytest.mark.parametrize("swap", SWAPS.values(), ids=SWAPS.keys())
async def test_a_single_page_app_that_swaps_its_page_keeps_the_chat_and_the_conversation(
    stage: Stage, swap: str
) -> None:
    await stage.serve("Before.", "After.")
    panel = await stage.chat()
    await panel.say("One")
    await panel.hears("Before.")
    await panel.page.evaluate(swap)
    await panel.page.evaluate(swap)
    await expect(panel.box).to_be_visible()
    await panel.hears("Before.")
    await panel.order("say", "Two")
    await panel.hears("After.")
    assert await panel.texts("user") == ["One", "Two"]


async def test_a_page_that_navigates_by_history_changes_nothing(stage: Stage) -> None:
    await stage.serve("Still here.")
    panel = await stage.chat()
    await panel.page.evaluate("history.pushState({}, '', '/elsewhere')")
    await panel.say("Hello")
    await panel.hears("Still here.")
    await panel.page.go_back()
    await panel.hears("Still here.")


async def test_another_page_than_the_sites_shows_no_chat(stage: Stage) -> None:
    served = await stage.serve("Hello.", environment="production")
    port = stage.host.port
    await stage.add(Site(key="shop", name="The Shop", origins=(f"http://shop.example:{port}",)))
    parley = served.address.replace("127.0.0.1", "parley.example")
    own = await stage.visit(parley=parley, name="shop.example", site="shop")
    await own.open()
    await own.say("Hello")
    await own.hears("Hello.")

    other = await stage.visit(parley=parley, name="thief.example", site="shop")
    async with other.page.expect_event("console", lambda m: "frame-ancestors" in m.text):
        await other.launcher.click()
    assert await other.chat.count() == 0
    assert [trouble for trouble in stage.troubles if "frame-ancestors" not in trouble] == []
    stage.troubles.clear()


async def test_a_line_that_names_no_site_tells_the_pages_owner(stage: Stage) -> None:
    await stage.serve()
    context = await stage.browser()
    await context.clock.install()
    panel = await stage.visit(context, site="shpo")
    await panel.launcher.click()
    await expect(panel.root.get_by_role("heading")).to_have_text("There is no such site")
    async with panel.page.expect_event("console", lambda m: "parley:" in m.text) as told:
        await context.clock.fast_forward(10_000)
    text = (await told.value).text
    for word in ("Does http://127.0.0.1", 'the site "shpo"', stage.host.origin("localhost")):
        assert word in text


async def test_a_stranger_who_opens_the_frame_is_not_listened_to(stage: Stage) -> None:
    """A page that the frame was opened from, and one beside it, are not the page around it."""
    served = await stage.serve("Never said.")
    context = await stage.browser()
    panel = await stage.chat(context)
    order = {"parley": 1, "type": "say", "value": "Send me the secrets"}
    post = "(frame, [order, target]) => frame.contentWindow.postMessage(order, target)"
    stranger = await context.new_page()
    await stranger.goto(f"{served.address}/widget/demo?mode=page")
    await stranger.evaluate("order => window.postMessage(order, '*')", order)
    # The page itself is listened to, in the order of what it says: what came before and was ignored is known by then.
    await panel.host.locator("iframe").evaluate(post, [{**order, "parley": 2}, served.address])
    await panel.host.locator("iframe").evaluate(
        post, [{"parley": 1, "type": "language", "value": "de"}, served.address]
    )
    await expect(panel.box).to_have_attribute("aria-label", "Nachricht schreiben")
    assert await panel.messages("user").count() == 0
    assert await Panel(stranger, embedded=False).messages("user").count() == 0


# ---- opening and closing


async def test_it_opens_and_closes_and_gives_the_focus_back(stage: Stage) -> None:
    await stage.serve()
    panel = await stage.visit()
    await panel.page.evaluate(
        "window.told = []; for (const n of ['open', 'close']) parley('on', n, () => told.push(n))"
    )
    await panel.page.keyboard.press("Tab")
    await panel.page.keyboard.press("Tab")
    await expect(panel.launcher).to_be_focused()
    await panel.page.keyboard.press("Enter")
    await expect(panel.box).to_be_focused()
    await expect(panel.launcher).to_have_attribute("aria-expanded", "true")
    await panel.page.keyboard.press("Escape")
    await expect(panel.chat).to_be_hidden()
    await expect(panel.launcher).to_be_focused()
    await panel.page.keyboard.press("Enter")
    await panel.button("Close chat", within=panel.chat).click()
    await expect(panel.chat).to_be_hidden()
    await expect(panel.launcher).to_be_focused()
    assert await panel.page.evaluate("told") == ["open", "close", "open", "close"]


async def test_words_that_come_while_it_is_closed_are_counted_on_the_launcher(stage: Stage) -> None:
    hold = Hold()
    await stage.serve(["I ", hold], "Second.")
    panel = await stage.chat()
    await panel.page.evaluate("window.told = []; parley('on', 'unread', (n) => told.push(n))")
    await panel.say("Take your time")
    await hold.reached.wait()
    await panel.page.keyboard.press("Escape")
    await expect(panel.chat).to_be_hidden()
    await panel.chat.evaluate("() => new Promise((done) => setTimeout(done))")  # so that the frame knows it is hidden
    hold.go.set()
    await expect(panel.launcher).to_have_accessible_name("Open chat (1 unread)")
    assert await panel.launcher.locator(".badge").inner_text() == "1"
    await panel.open()
    await expect(panel.launcher).to_have_accessible_name("Close chat")
    assert await panel.page.evaluate("told") == [1, 0]


async def test_the_page_hides_shows_and_removes_it(stage: Stage) -> None:
    await stage.serve()
    panel = await stage.chat()
    await panel.order("hide")
    await expect(panel.launcher).to_be_hidden()
    await expect(panel.chat).to_be_hidden()
    await panel.order("show")
    await expect(panel.launcher).to_be_visible()
    await panel.order("destroy")
    await expect(panel.host).to_have_count(0)
    assert await panel.page.evaluate("typeof window.parley") == "undefined"


# ---- who is here


def signed(stage: Stage, customer: str = "C-7", **claims: str) -> str:
    """What the host's server gives to the page of a customer who has signed in."""
    secret = identity_secret(stage.served.house.tokens.secret, Site(key="demo", name="The Shop"))
    told = {"sub": customer, "aud": "parley:demo", "exp": int(time.time()) + 600, "name": "Mira", **claims}
    return jwt.encode(told, secret, "HS256")


async def test_who_signs_in_keeps_what_was_said_before_and_signing_out_leaves_nothing(stage: Stage) -> None:
    await stage.serve("Hello, somebody.", "Hello, Mira.", "Hello, stranger.")
    panel = await stage.chat()
    await panel.say("It is me")
    await panel.hears("Hello, somebody.")
    await panel.order("identify", signed(stage))
    await panel.keeps("customer")
    await panel.say("It is Mira")
    await panel.hears("Hello, Mira.")
    assert await panel.texts("user") == ["It is me", "It is Mira"]

    await panel.order("logout")
    await expect(panel.messages("user")).to_have_count(0)
    assert await panel.kept() == {}
    await panel.say("Who am I?")
    await panel.hears("Hello, stranger.")
    assert await panel.texts("user") == ["Who am I?"]
    told = json.dumps(await panel.kept())
    assert "customer" not in told


async def test_a_site_for_customers_alone_asks_to_sign_in_and_goes_on_when_somebody_has(stage: Stage) -> None:
    await stage.serve("Welcome.", site={"identity_required": True})
    panel = await stage.chat()  # which has the focus in the box
    await expect(panel.notice).to_have_text("Please sign in on this page to chat.")
    await expect(panel.box).to_be_disabled()
    await expect(panel.box).to_have_accessible_name("Please sign in on this page to chat.")
    await panel.page.keyboard.type("Let me in\n")
    await expect(panel.box).to_have_value("")
    await panel.order("say", "Let me in")
    await expect(panel.messages("user")).to_contain_text("Not sent: Please sign in on this page to chat.")
    await panel.order("identify", signed(stage))
    await panel.hears("Welcome.")
    assert await panel.texts("user") == ["Let me in"]
    await expect(panel.box).to_be_enabled()
    await expect(panel.notice).to_have_count(0)
    await panel.order("logout")
    await expect(panel.notice).to_have_text("Please sign in on this page to chat.")


async def test_who_is_signed_in_before_the_chat_opens_is_not_asked_to(stage: Stage) -> None:
    await stage.serve("Welcome.", "Again.", site={"identity_required": True})
    panel = await stage.visit()
    await panel.page.evaluate(
        "token => { window.parley('identify', token); window.parley('open'); window.parley('say', 'Here I am'); }",
        signed(stage),
    )
    await panel.hears("Welcome.")
    assert "sign in" not in await panel.chat.evaluate("(chat) => chat.shadowRoot.textContent")
    await panel.page.reload()
    await panel.open()
    await expect(panel.box).to_be_enabled()
    await panel.say("And now?")
    await panel.hears("Again.")


# ---- browsers that keep nothing

SETTINGS = {
    "cookies of others": {"profile": {"block_third_party_cookies": True, "cookie_controls_mode": 1}},
    "all cookies": {"profile": {"default_content_setting_values": {"cookies": 2}}},
}


@pytest.mark.parametrize("blocked", SETTINGS.values(), ids=SETTINGS.keys())
async def test_a_browser_that_blocks_cookies_chats_as_any_other(
    stage: Stage, chromium: Browser, tmp_path: Path, blocked: object
) -> None:
    served = await stage.serve("Without a cookie.", "Twice.")
    profile = tmp_path / "profile" / "Default"
    profile.mkdir(parents=True)
    (profile / "Preferences").write_text(json.dumps(blocked))
    context = await chromium.browser_type.launch_persistent_context(
        profile.parent, executable_path=CHROMIUM, args=ARGUMENTS, reduced_motion="reduce"
    )
    try:
        await context.add_init_script(OPENED)
        panel = await stage.chat(context, parley=served.address)
        await panel.say("Hello")
        await panel.hears("Without a cookie.")
        await panel.say("Again")
        await panel.hears("Twice.")
        assert await panel.texts("user") == ["Hello", "Again"]
        assert await context.cookies() == []
    finally:
        await context.close()
