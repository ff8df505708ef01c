"""All that a test of the widget stands on: Parley served, a host's page, and browsers that come to see it."""

from __future__ import annotations

import json
import shutil
from contextlib import AsyncExitStack
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page

from agent_core import sites
from agent_core.settings import Settings
from agent_core.site import Site
from tests.browser.host import Host
from tests.browser.panel import Panel
from tests.conftest import OpenCore
from tests.scripted import Hold
from tests.wire import Served, serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    # A page can be of any name, and none of them leaves this machine.
    "--host-resolver-rules=MAP *.example 127.0.0.1",
    # Instead of Playwright's list, which takes storage partitioning away, too: nobody's browser is like that.
    "--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,MediaRouter,OptimizationHints,PaintHolding",
]
#: The launcher's shadow is closed to the host's page. Who tests has to look inside.
OPENED = """
const attach = Element.prototype.attachShadow;
Element.prototype.attachShadow = function (options) { return attach.call(this, { ...options, mode: "open" }); };
"""
#: What a browser says when a policy was about to be broken.
BROKEN = ("Content Security Policy", "Trusted Type", "TrustedHTML", "TrustedScript")


class Stage:
    def __init__(self, chromium: Browser, host: Host, core: OpenCore, settings: Settings) -> None:
        self.chromium, self.host = chromium, host
        self.troubles: list[str] = []
        self._core, self._settings = core, settings
        self._holds: list[Hold] = []
        self._servers, self._browsers = AsyncExitStack(), AsyncExitStack()
        self.served: Served
        self.door: Any

    async def serve(self, *steps: Any, site: dict[str, Any] | None = None, **overrides: Any) -> Served:
        """Parley, whose model follows these steps; `site` changes what is known of the demo's."""
        settings = self._settings.model_copy(update=overrides)
        self._holds += [part for step in steps if isinstance(step, list) for part in step if isinstance(part, Hold)]
        self.door = await self._servers.enter_async_context(self._core(*steps, **overrides))
        if site is not None:
            changed = Site(**{"key": "demo", "name": "The Shop", **site})
            await self.door._db.write(lambda c: sites.replace(c, changed))
        self.served = await self._servers.enter_async_context(serving(settings, self.door))
        return self.served

    async def add(self, site: Site) -> None:
        await self.door._db.write(lambda c: sites.add(c, site))

    async def browser(self, **options: Any) -> BrowserContext:
        """A browser that has never been here."""
        given = {"viewport": {"width": 1100, "height": 800}, "reduced_motion": "reduce", **options}
        context = await self.chromium.new_context(**given)
        self._browsers.push_async_callback(context.close)
        context.set_default_timeout(30_000)
        await context.add_init_script(OPENED)
        context.on("weberror", lambda error: self.troubles.append(str(error.error)))
        context.on("console", lambda said: self._heard(said.text))
        return context

    def _heard(self, text: str) -> None:
        if any(word in text for word in BROKEN):
            self.troubles.append(text)

    async def visit(
        self, context: BrowserContext | None = None, *, parley: str | None = None, name: str = "localhost", **line: Any
    ) -> Panel:
        """A customer on the host's page; the widget is closed. `line`: attributes of the one line."""
        page = await (context or await self.browser()).new_page()
        path = f"/{abs(hash(json.dumps([parley, line], sort_keys=True)))}"
        self.host.put(path, parley or self.served.address, **line)
        await page.goto(self.host.origin(name) + path)
        return Panel(page)

    async def chat(self, context: BrowserContext | None = None, **line: Any) -> Panel:
        """A customer who has opened the chat."""
        panel = await self.visit(context, **line)
        await panel.open()
        return panel

    async def log(self) -> list[dict[str, Any]]:
        """All events of the one conversation there is."""
        served = self.served
        (line,) = (await served.http.get("/operator/conversations", headers=served.operator)).json()["conversations"]
        url = f"/operator/conversations/{line['conversation']}/history"
        return (await served.http.get(url, headers=served.operator)).json()["events"]

    async def counted(self, type_: str, **fields: Any) -> int:
        events = await self.log()
        return sum(e["type"] == type_ and all(e.get(k) == v for k, v in fields.items()) for e in events)

    async def aclose(self) -> None:
        await self._browsers.aclose()
        for hold in self._holds:
            hold.go.set()
        await self._servers.aclose()


def window(page: Page) -> Panel:
    """The chat in a window of its own."""
    return Panel(page, embedded=False)
