"""A browser in which nothing can happen unseen: what runs, asks, opens or leaves is written down; and what is on a page."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Frame, Page, async_playwright

from app.assets import DIST

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
#: No name but this machine's own leads anywhere, should something ask.
ARGUMENTS = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"]
#: All that the frame has to ask its server for.
ASKED = re.compile(r"/(widget/|assets/|conversations\b|sites/|widget\.js$|host$)")
#: What browsers say when a policy has stopped something: nothing may come so far.
STOPPED = re.compile("Content Security Policy|Trusted ?(Type|HTML|Script)|Refused to", re.IGNORECASE)
VIOLATION = (
    "addEventListener('securitypolicyviolation', e => canary('policy: ' + e.violatedDirective + ' ' + e.blockedURI))"
)

#: Elements and attributes that the widget itself is made of. Whatever else there is was made from a text.
ELEMENTS = (
    "html head meta title link script noscript body div span p h1 h2 h3 header footer section button form label textarea input "
    "select option progress details summary ul ol li dl dt dd table caption thead tbody tfoot tr th td "
    "blockquote pre code hr br strong em del a mark sup time i slot svg path rect circle line polyline polygon g"
)
ATTRIBUTES = (
    "class id type dir lang role tabindex title href target rel for rows maxlength autocomplete inputmode placeholder "
    "enterkeyhint scope start open hidden disabled selected value max min datetime required novalidate newest checked "
    "viewbox d fill x y width height rx r cx cy points stroke stroke-width stroke-linecap stroke-linejoin transform "
    "role-of status author text unsent spoken writing rating heard at language scheme current now note busy mode greeting running "
    "locked canpopout demo data-mode data-scheme"
)
LOOK = """([elements, attributes]) => {
  const offences = [], words = [];
  const unseen = /[\\u202A-\\u202E\\u2066-\\u2069\\u200B\\u2060-\\u2064\\uFEFF\\u00AD]|\\uDB40[\\uDC00-\\uDFFF]/;
  const attribute = (element, { name, value }) => {
    const where = `<${element.localName} ${name}="${value.slice(0, 80)}">`;
    const own = ["html", "textarea", "head", "meta", "link", "script"].includes(element.localName);
    if (name === "style" && /^width: \\d+(\\.\\d+)?%;$/.test(value)) return; // a bar's
    if (!own && !attributes.includes(name.toLowerCase()) && !/^aria-[a-z]+$/.test(name)) offences.push(where);
    if (name.startsWith("on") || unseen.test(value)) offences.push(where);
    if (name === "href" && element.localName === "a" && !/^(https?:\\/\\/|mailto:|tel:)/.test(value)) offences.push(where);
  };
  const look = (node, said = false) => {
    if (node.nodeType === Node.TEXT_NODE) {
      words.push(node.data);
      if (unseen.test(node.data)) offences.push("unseen characters in " + JSON.stringify(node.data.slice(0, 80)));
    }
    if (node.nodeType === Node.ELEMENT_NODE) {
      const { localName: name } = node;
      if (!elements.includes(name) && !name.startsWith("parley-")) offences.push(`<${name}>`);
      const our = /^(form|input|select|textarea|label|details|section|header|slot|parley-.*)$/; // never of a text
      if (said && our.test(name)) offences.push(`<${name}>`);
      if (name === "script" && !(node.id === "site" || /^\\/assets\\//.test(node.getAttribute("src")))) offences.push("<script>");
      if (name === "a" && (node.target !== "_blank" || !/noopener/.test(node.rel))) offences.push(node.outerHTML.slice(0, 120));
      [...node.attributes].forEach((one) => attribute(node, one));
      if (name === "textarea") words.push(node.value);
      if (name === "script" || name === "head") return;
      if (node.shadowRoot) node.shadowRoot.childNodes.forEach((one) => look(one, name === "parley-message"));
    }
    node.childNodes.forEach((one) => look(one, said));
  };
  look(document.documentElement);
  return { offences, words: words.join(" ") };
}"""


@dataclass
class Lookout:
    """One browser's pages, and the troubles there were in them."""

    context: BrowserContext
    allowed: tuple[str, ...]
    troubles: list[str] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)

    async def start(self) -> None:
        await self.context.expose_binding("canary", lambda _source, *said: self.troubles.append(f"ran: {said}"))
        await self.context.add_init_script(VIOLATION)
        self.context.on("request", lambda request: self._asked(request.url))
        self.context.on("console", self._heard)
        self.context.on("weberror", lambda error: self.troubles.append(f"error: {error.error}"))
        self.context.on("page", self._opened)

    def _asked(self, url: str) -> None:
        ours = next((origin for origin in self.allowed if url.startswith(origin + "/")), None)
        if not url.startswith("data:,") and (ours is None or not ASKED.match(url.removeprefix(ours))):
            self.troubles.append(f"asked for {url}")

    def _heard(self, said: ConsoleMessage) -> None:
        if STOPPED.search(said.text):
            self.troubles.append(f"stopped: {said.text}")

    def _opened(self, page: Page) -> None:
        if self.pages:
            self.troubles.append(f"opened {page.url}")
        self.pages.append(page)
        page.on("dialog", lambda dialog: self._dialog(dialog))
        page.on("download", lambda download: self.troubles.append(f"downloaded {download.url}"))
        page.on("framenavigated", lambda frame: self._navigated(frame.url))

    async def _dialog(self, dialog: Any) -> None:
        self.troubles.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def _navigated(self, url: str) -> None:
        """The first address of each frame is the one it was given."""
        if url in self._seen:
            self.troubles.append(f"went to {url} again")
        self._seen.add(url)

    def __post_init__(self) -> None:
        self._seen: set[str] = set()

    async def visit(self, url: str, kept: dict[str, Any] | None = None) -> Page:
        """A page of Parley's, in whose browser this is kept."""
        if kept is not None:
            keep = f"localStorage.setItem('parley:demo', {json.dumps(json.dumps(kept))})"
            await self.context.add_init_script(f"if (location.protocol === 'http:') {keep}")
        page = await self.context.new_page()
        await page.goto(url)
        return page

    async def frame(self, page: Page) -> Frame:
        """The chat's, in a host's page, when the chat is drawn."""
        if len(page.frames) < 2:
            await page.wait_for_event("frameattached")
        frame = page.frames[1]
        await frame.locator("parley-composer").wait_for()
        return frame


async def looked(page: Page | Frame) -> str:
    """All words of the page or frame, when nothing is there that should not be."""
    seen = await page.evaluate(LOOK, [ELEMENTS.split(), ATTRIBUTES.split()])
    assert not seen["offences"], seen["offences"][:20]
    words: str = seen["words"]
    return words


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        missing("needs Chromium: apt install chromium")
    if not (DIST / "manifest.json").exists():
        missing("needs the built widget: make web")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def lookout(browser: Browser, *allowed: str, policy: bool = True) -> AsyncIterator[Lookout]:
    """Without the `policy`, what a text could do is not stopped by it."""
    context = await browser.new_context(bypass_csp=not policy, viewport={"width": 480, "height": 720})
    context.set_default_timeout(20_000)
    out = Lookout(context, allowed)
    await out.start()
    try:
        yield out
    finally:
        await context.close()
    assert not out.troubles, out.troubles[:20]


def missing(what: str) -> None:
    """Skips the test; where everything has been installed for the tests, fails it."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)
