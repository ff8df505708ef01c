"""One Chromium and one host's server for each worker; a fresh stage, with its own Parley, for each test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from agent_core.settings import Settings
from app.assets import DIST
from tests.browser.caller import Microphone, talking_browser
from tests.browser.host import Host, hosting
from tests.browser.stage import ARGUMENTS, CHROMIUM, Stage
from tests.conftest import OpenCore
from tests.voice.room import Place, livekit_server
from voice import embedded

WAIT_MS = 30_000


def missing(what: str) -> None:
    """Skips the test; where everything has been installed for the tests, fails it."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        missing("needs Chromium: apt install chromium")
    if not (DIST / "manifest.json").exists():
        missing("needs the built widget: make web")
    expect.set_options(timeout=WAIT_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def host() -> AsyncIterator[Host]:
    async with hosting() as out:
        yield out


@pytest_asyncio.fixture(loop_scope="session")
async def stage(chromium: Browser, host: Host, core: OpenCore, settings: Settings) -> AsyncIterator[Stage]:
    out = Stage(chromium, host, core, settings)
    try:
        yield out
    finally:
        await out.aclose()
    assert out.troubles == []


# ---- calls: a module of them has a `here`, with its own LiveKit server and worker


def callable_here() -> None:
    """There is a LiveKit server, and a voice for the customer."""
    livekit_server()
    if (lacking := embedded.to_be_had()) is not None:
        missing(f"needs the embedded voice and ear: {lacking} is not installed")


@pytest.fixture(scope="module")
def microphone(tmp_path_factory: pytest.TempPathFactory) -> Microphone:
    return Microphone(tmp_path_factory.mktemp("microphone") / "said.wav")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def talking(chromium: Browser, here: Place, microphone: Microphone) -> AsyncIterator[Browser]:
    async with talking_browser(microphone) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def town(talking: Browser, here: Place, host: Host) -> AsyncIterator[Stage]:
    stage = Stage(talking, host, None, here.settings)  # type: ignore[arg-type]
    stage.served, stage.door = here.served, here.door
    yield stage
    await stage.aclose()
    assert stage.troubles == []
