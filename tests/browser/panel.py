"""The chat as somebody uses it: what to click, where to write, what stands in the thread."""

from __future__ import annotations

import asyncio
from typing import Any

from playwright.async_api import FrameLocator, Locator, Page, expect


async def until(where: Page | Locator, condition: str, seconds: float = 60) -> None:
    """Looks once a frame. (Playwright's own waiting evaluates text, which the pages' policies forbid.)"""
    look = f"const look = () => {condition} ? done() : requestAnimationFrame(look); look();"
    async with asyncio.timeout(seconds):
        await where.evaluate(f"() => new Promise(done => {{ {look} }})")


class Panel:
    """The widget in a page. `embedded`: in a frame of a host's page, and not a page of its own."""

    def __init__(self, page: Page, *, embedded: bool = True) -> None:
        self.page = page
        self.host = page.locator("parley-widget")
        self.root: FrameLocator | Page = page.frame_locator("parley-widget iframe") if embedded else page

    # ---- what there is

    @property
    def launcher(self) -> Locator:
        return self.host.locator("> button")

    @property
    def chat(self) -> Locator:
        return self.root.locator("parley-chat")

    @property
    def box(self) -> Locator:
        return self.root.locator("parley-composer textarea")

    @property
    def notice(self) -> Locator:
        return self.chat.locator("> div > .notice, .notice").first

    @property
    def thread(self) -> Locator:
        return self.root.locator("parley-log")

    def messages(self, who: str) -> Locator:
        """Of "user", "agent" or "operator". The greeting is the agent's."""
        return self.root.locator(f'parley-message[role-of="{who}"]')

    def button(self, name: str, *, within: Locator | None = None, exact: bool = True) -> Locator:
        return (within or self.root).get_by_role("button", name=name, exact=exact)

    def card(self, kind: str) -> Locator:
        """A deliverable by its component, "offer" say; or "approval"."""
        return self.root.locator("parley-approval" if kind == "approval" else f"parley-display-{kind}")

    # ---- what one does

    async def open(self) -> None:
        await self.launcher.click()
        await expect(self.box).to_be_focused()

    async def say(self, text: str) -> None:
        await self.box.fill(text)
        await self.box.press("Enter")

    async def menu(self, choice: str) -> None:
        await self.button("More").click()
        await self.root.locator("parley-menu").get_by_role("button", name=choice).click()

    async def order(self, *call: Any) -> None:
        """What the host's page says to the widget."""
        await self.page.evaluate("call => window.parley(...call)", list(call))

    # ---- what is to be seen

    async def hears(self, text: str, *, times: int = 1) -> None:
        """The agent's whole answer stands there, and nobody works on it any more."""
        await expect(self.messages("agent").filter(has_text=text)).to_have_count(times)
        await expect(self.root.locator("parley-message .caret")).to_have_count(0)

    async def texts(self, who: str) -> list[str]:
        """What was said, without who said it."""
        bubbles = await self.messages(who).locator(".bubble").all_text_contents()
        return [bubble.partition(": ")[2].strip() for bubble in bubbles]

    async def keeps(self, word: str) -> None:
        """Until the browser keeps something with this word for the chat."""
        await expect(self.chat).to_be_attached()
        await until(self.chat, f"JSON.stringify(localStorage).includes('{word}')")

    async def kept(self) -> dict[str, str]:
        """All that the browser keeps of the frame's origin."""
        return await self.chat.evaluate("() => ({...localStorage, ...sessionStorage})")
