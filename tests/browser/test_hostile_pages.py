"""The chat on pages that were not made for guests: their styles, their policies, their frames, their back buttons."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser import in_browser
from tests.browser.panel import Panel
from tests.browser.stage import ARGUMENTS, CHROMIUM, OPENED, Stage
from tests.scripted import Hold

pytestmark = in_browser

PAGE = """<!doctype html>
<html lang="en" {root}>
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>A shop</title>
{head}</head>
<body><main><h1>A shop</h1><p>It sells things.</p></main>{body}</body>
</html>"""


async def opened(stage: Stage, page: Page | None = None, *, policy: str = "", **parts: str) -> Panel:
    """A customer on a page with these parts; in them `LINE` is the one line's address and site."""
    line = f'src="{stage.served.address}/widget.js" data-site="demo"'
    told = {name: text.replace("LINE", line) for name, text in ({"root": "", "head": "", "body": ""} | parts).items()}
    path = f"/{abs(hash(str(told)))}"
    stage.host.put_page(path, PAGE.format(**told), policy.replace("PARLEY", stage.served.address))
    page = page or await (await stage.browser()).new_page()
    await page.goto(stage.host.origin() + path)
    return Panel(page)


async def talked(panel: Panel) -> None:
    """With the pointer, as a customer does it: what is covered, or can't be hit, fails."""
    await panel.launcher.click()
    await expect(panel.box).to_be_focused()
    await panel.box.click()
    await panel.say("Hello")
    await panel.hears("Good to see you.")
    await panel.button("Close chat", within=panel.chat).click()
    await expect(panel.chat).to_be_hidden()


#: Resets and effects of real pages, each more than once seen to move or to hide a guest.
STYLES = {
    "everything unset": "* { all: unset; }",
    "everything unset, and meant": "* { all: unset !important; }",
    "boxes hidden": "div, button, iframe, svg, span { display: none !important; }",
    "unknown elements hidden": "body > :not(main) { display: none !important; }",
    "a body that can't be clicked": "body, body * { pointer-events: none !important; }",
    "a body that is not shown yet": "body { visibility: hidden; } body > * { opacity: 0 !important; }",
    "children that are moved": "body > * { transform: translate(-40vw, -40vh) scale(.2) !important; filter: blur(9px); }",
    "children that are held": "body > * { contain: strict; position: relative; overflow: hidden; width: 1px; height: 1px; }",
    "children that come in": "@keyframes in { from { opacity: 0; transform: scale(0); } to { opacity: 0; transform: scale(.1); } }"
    "body > * { animation: in .1s both; }",
    "a body that is moved": "body { transform: translate(-50px, -50px); filter: grayscale(1); height: 5000px; width: 50vw; }",
    "huge letters": "html { font-size: 60px; } body { font: bold 4rem/3 fantasy; letter-spacing: 1em; text-transform: uppercase; }",
    "from right to left": "html, body { direction: rtl; unicode-bidi: bidi-override; text-align: right; }",
}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())
async def test_no_style_of_the_page_hides_moves_or_covers_it(stage: Stage, style: str) -> None:
    await stage.serve("Good to see you.")
    panel = await opened(stage, head=f"<style>{style}</style>", body="<script LINE async></script>")
    await expect(panel.launcher).to_be_visible()
    assert await panel.launcher.bounding_box() == {"x": 1024, "y": 724, "width": 56, "height": 56}
    await talked(panel)


async def test_it_is_not_printed_with_the_page(stage: Stage) -> None:
    await stage.serve()
    panel = await opened(stage, body="<script LINE async></script>")
    await expect(panel.launcher).to_be_visible()
    await panel.page.emulate_media(media="print")
    await expect(panel.launcher).to_be_hidden()


async def test_an_inline_chat_keeps_its_place_and_its_size_under_any_style(stage: Stage) -> None:
    await stage.serve("Good to see you.")
    place = '<div id="here" style="width: 500px; height: 400px"></div>'
    styles = "<style>body * { all: unset; } #here { display: block !important; } body > * { opacity: 1; }</style>"
    panel = await opened(
        stage, head=styles, body=f'{place}<script LINE data-mode="inline" data-target="#here"></script>'
    )
    await panel.say("Hello")
    await panel.hears("Good to see you.")
    box = await panel.host.locator("iframe").bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (500, 400)


POLICIES = {
    "a nonce": "default-src 'none'; base-uri 'none'; script-src 'nonce-r4nd0m'; style-src 'nonce-r4nd0m'; frame-src PARLEY",
    "a nonce, and what it loads": "base-uri 'none'; object-src 'none'; script-src 'nonce-r4nd0m' 'strict-dynamic' https:",
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES.keys())
async def test_a_policy_that_lets_in_by_nonce_lets_it_in(stage: Stage, policy: str) -> None:
    await stage.serve("Good to see you.")
    await talked(await opened(stage, policy=policy, body='<script LINE nonce="r4nd0m" async></script>'))


@pytest.mark.parametrize(
    "line", ["<script LINE></script>", "<script LINE async></script>", "<script LINE defer></script>"]
)
async def test_the_line_may_stand_in_the_head(stage: Stage, line: str) -> None:
    await stage.serve("Good to see you.")
    await talked(await opened(stage, head=line))


async def test_of_two_sites_on_a_page_the_first_has_the_chat_and_the_owner_is_told(stage: Stage) -> None:
    await stage.serve("Good to see you.")
    page = await (await stage.browser()).new_page()
    async with page.expect_event("console", lambda m: "parley:" in m.text) as told:
        second = f'<script src="{stage.served.address}/widget.js" data-site="shop"></script>'
        panel = await opened(stage, page, head="<script LINE></script>", body=second)
    assert (await told.value).text == 'parley: the chat of "demo" is on this page already; "shop" is left out'
    await talked(panel)


async def test_a_page_in_a_frame_of_another_page_has_its_chat(stage: Stage) -> None:
    await stage.serve("Good to see you.")
    inner = await opened(stage, body="<script LINE async></script>")
    frame = f'<iframe src="{inner.page.url}" style="width: 900px; height: 700px"></iframe>'
    outer = await opened(stage, body=frame)
    panel = Panel(outer.page)
    inside = outer.page.frame_locator("body > iframe")
    panel.host = inside.locator("parley-widget")
    panel.root = inside.frame_locator("parley-widget iframe")
    await talked(panel)


async def test_who_comes_back_with_the_back_button_finds_what_was_said_meanwhile_and_goes_on(
    stage: Stage, chromium: Browser
) -> None:
    """The page as it was, out of the browser's memory. (Playwright loses sight of its frames there; the launcher tells.)"""
    hold = Hold()
    await stage.serve("Good to see you.", ["Let me see. ", hold, "There it is."], "Still here.")
    browser = await chromium.browser_type.launch(
        executable_path=CHROMIUM, args=ARGUMENTS, ignore_default_args=["--disable-back-forward-cache"]
    )
    try:
        context = await browser.new_context(reduced_motion="reduce")
        await context.add_init_script(OPENED)
        panel = await opened(stage, await context.new_page(), body="<script LINE async></script>")
        await panel.page.evaluate("addEventListener('pageshow', (e) => { window.kept = e.persisted; })")
        await panel.launcher.click()
        await panel.order("close")
        await panel.order("say", "Hello")
        await expect(panel.launcher).to_have_accessible_name("Open chat (1 unread)")
        await panel.order("say", "Where is my order?")
        await hold.reached.wait()
        hold.go.set()  # so the words come while the page falls asleep
        await panel.page.goto(stage.host.origin() + "/elsewhere")
        await panel.page.go_back(wait_until="commit")
        if not await panel.page.evaluate("window.kept"):
            pytest.skip("this browser had no room to keep the page")
        await expect(panel.launcher).to_have_accessible_name("Open chat (2 unread)", timeout=40_000)
        await panel.order("say", "Still there?")
        await expect(panel.launcher).to_have_accessible_name("Open chat (3 unread)", timeout=40_000)
        assert await stage.counted("message.added", role="user") == 3
    finally:
        await browser.close()
