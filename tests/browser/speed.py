"""`python -m tests.browser.speed`: how soon one can type after a click on the launcher, and how smoothly a long thread scrolls.

The first on the demo's page with a warm cache, 20 times; the second in a conversation of 1,000 messages, loaded in
pages from its end to its beginning. Needs a quiet machine.
"""

from __future__ import annotations

import asyncio
import statistics
from typing import Any

from playwright.async_api import Browser, BrowserContext, Frame, Page, async_playwright, expect

from agent_core import log
from agent_core.events import MessageAdded, MessageFinished
from tests.browser.host import hosting
from tests.browser.panel import Panel
from tests.browser.screenshots import standing
from tests.browser.stage import ARGUMENTS, CHROMIUM, OPENED, Stage

TIMES, MESSAGES, PIXELS = 20, 1000, 120
FRAME_MS = 1000 / 60
WORDS = "An answer of usual length, with **something** to stress, `a code` and a few more words to fill a second line. "

#: From the click, in the page's clock, until the writing place has the focus, in the frame's; both clocks are the machine's.
CLICKED = "addEventListener('click', () => { window.clicked ??= performance.timeOrigin + performance.now(); }, true);"
FOCUSED = """new Promise((done) => {
  const look = () => {
    const chat = document.querySelector("parley-chat");
    const area = chat?.renderRoot.querySelector("parley-composer")?.renderRoot.querySelector("textarea");
    if (area && area.getRootNode().activeElement === area && document.hasFocus()) done(performance.timeOrigin + performance.now());
    else requestAnimationFrame(look);
  };
  look();
})"""
#: Scrolls up, a little each frame, until the beginning is there; the milliseconds of each frame.
SCROLL = """(log, [step]) => new Promise((done) => {
  const scroller = log.renderRoot.querySelector(".scroll");
  const times = [];
  let before = performance.now();
  const frame = (now) => {
    times.push(now - before);
    before = now;
    scroller.scrollTop -= step;
    const over = scroller.scrollTop <= 0 && !log.view.snapshot.earlier && !log.view.busy.has("earlier");
    if (over) done(times.slice(2)); else requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})"""


def quantiles(values: list[float]) -> str:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return f"p50 {statistics.median(ordered):.0f} ms, p95 {p95:.0f} ms, most {ordered[-1]:.0f} ms"


async def opening(context: BrowserContext, address: str) -> float:
    """Milliseconds from the click to the focus; the page has been idle before, as pages are."""
    page = await context.new_page()
    await page.goto(f"{address.replace('127.0.0.1', 'localhost')}/demo")
    panel = Panel(page)
    frame = await _frame(page)
    await expect(panel.chat).to_be_attached()
    await panel.launcher.click()
    focused = await frame.evaluate(FOCUSED)
    clicked = await page.evaluate("() => window.clicked")
    await page.close()
    return float(focused - clicked)


async def _frame(page: Page) -> Frame:
    if len(page.frames) < 2:
        await page.wait_for_event("frameattached")
    return page.frames[1]


async def openings(stage: Stage, chromium: Browser) -> list[float]:
    served = await stage.serve()
    context = await chromium.new_context(viewport={"width": 1100, "height": 800})
    await context.add_init_script(OPENED + CLICKED)
    await opening(context, served.address)
    return [await opening(context, served.address) for _ in range(TIMES)]


async def scrolling(stage: Stage) -> list[float]:
    await stage.serve("The first answer.")
    panel = await stage.chat()
    await panel.say("Hello")
    await panel.hears("The first answer.")
    (line,) = (await stage.served.http.get("/operator/conversations", headers=stage.served.operator)).json()[
        "conversations"
    ]
    await stage.door._db.write(lambda c: _fill(c, line["conversation"]))
    await panel.page.reload()
    await panel.open()
    await panel.hears(f"Answer {MESSAGES - 1}.")
    times: list[float] = await panel.thread.evaluate(SCROLL, [PIXELS])
    assert await panel.thread.evaluate("log => log.view.snapshot.items.length") >= MESSAGES
    return times


def _fill(connection: Any, conversation: str) -> None:
    """The customer asks, the assistant answers, and so on."""
    events: list[Any] = []
    for n in range(2, MESSAGES, 2):
        turn = f"turn_{n}"
        events.append(MessageAdded(f"msg_{n}", "user", f"Question {n}?", turn=turn, client_message_id=f"m{n}"))
        events.append(MessageFinished(f"msg_{n + 1}", turn, "lead", f"Answer {n + 1}. {WORDS * 2}"))
    log.append(connection, conversation, events)


async def main() -> None:
    async with hosting() as host, async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        async with standing(chromium, host) as stage:
            print(f"From click to typing, {TIMES} times: {quantiles(await openings(stage, chromium))}")
        async with standing(chromium, host) as stage:
            times = await scrolling(stage)
            late = sum(time > 1.5 * FRAME_MS for time in times)
            rate = 1000 * len(times) / sum(times)
            print(
                f"Scrolling {MESSAGES} messages, {len(times)} frames: {rate:.0f} a second, {quantiles(times)}, {late} late"
            )
        await chromium.close()


if __name__ == "__main__":
    asyncio.run(main())
