"""`python -m tests.browser.screenshots [WORD]`: pictures of all states, or of those with this word in their name.

They go to tests/screenshots/. Look at each, and mend what you would not show a customer.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, async_playwright

from agent_core import open_core
from agent_core.settings import Settings
from tests.browser.host import Host, hosting
from tests.browser.panel import Panel
from tests.browser.stage import ARGUMENTS, CHROMIUM, Stage
from tests.browser.states import EVERYTHING, STATES, State
from tests.scripted import ScriptedModels
from tests.wire_server import settings

FOLDER = Path(__file__).parents[1] / "screenshots"
DESKTOP, TELEPHONE, NARROW = ((1100, 800), (390, 844), (320, 640))
#: Name, state, the browser's options, attributes of the line.
Picture = tuple[str, State, dict[str, Any], dict[str, str]]


def screen(size: tuple[int, int], **options: Any) -> dict[str, Any]:
    return {"viewport": {"width": size[0], "height": size[1]}, **options}


def pictures() -> list[Picture]:
    out: list[Picture] = [(name, state, screen(DESKTOP), {}) for name, state in STATES.items()]
    for name in ("empty", "answer", "offer", "form wrong", "approval", "menu", "operator"):
        out.append((f"{name} (telephone)", STATES[name], screen(TELEPHONE, has_touch=True), {}))
        out.append((f"{name} (dark)", STATES[name], screen(DESKTOP, color_scheme="dark"), {}))
    for name in ("empty", "offer", "form", "approval", "operator", "call", "call explained"):
        out.append((f"{name} (Arabic)", STATES[name], screen(DESKTOP), {"language": "ar"}))
        out.append((f"{name} (320 px)", STATES[name], screen(NARROW, has_touch=True), {}))
    out.append(("menu (320 px)", STATES["menu"], screen(NARROW, has_touch=True), {}))
    for name in ("offer", "menu", "choices ticked", "call", "call muted"):
        out.append((f"{name} (forced colours)", STATES[name], screen(DESKTOP, forced_colors="active"), {}))
    out.append(("call (dark)", STATES["call"], screen(DESKTOP, color_scheme="dark"), {}))
    for language in ("en", "de", "es", "fr", "ar"):
        out.append((f"everything ({language})", EVERYTHING, screen((420, 3000)), {"language": language}))
    out.append(("everything (dark)", EVERYTHING, screen((420, 3000), color_scheme="dark"), {}))
    out.append(("everything (forced colours)", EVERYTHING, screen((420, 3000), forced_colors="active"), {}))
    return out


async def take(stage: Stage, picture: Picture) -> None:
    name, state, options, line = picture
    panel = await state.enter(stage, await stage.browser(**options), **line)
    await settled(panel)
    await panel.page.screenshot(path=FOLDER / f"{name.replace(' ', '-')}.png")


async def settled(panel: Panel) -> None:
    """Fonts are there, and two frames were drawn since."""
    await panel.chat.evaluate(
        "() => document.fonts.ready.then(() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))))"
    )


@asynccontextmanager
async def standing(chromium: Browser, host: Host) -> AsyncIterator[Stage]:
    with tempfile.TemporaryDirectory() as folder:

        @asynccontextmanager
        async def core(*steps: Any, **overrides: Any) -> AsyncIterator[Any]:
            async with open_core(chosen.model_copy(update=overrides), models=ScriptedModels(*steps)) as door:
                yield door

        chosen: Settings = settings(Path(folder)).model_copy(update={"tools_database": Path(folder) / "telecom.db"})
        stage = Stage(chromium, host, core, chosen)
        try:
            yield stage
        finally:
            await stage.aclose()


async def main(word: str = "") -> None:
    FOLDER.mkdir(exist_ok=True)
    async with hosting() as host, async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for picture in pictures():
            if word in picture[0]:
                async with standing(chromium, host) as stage:
                    await take(stage, picture)
                print(FOLDER / picture[0])
        await chromium.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
