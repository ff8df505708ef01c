"""The README's own deliverable, built and clicked: one class and one component, as a newcomer would add them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agent_core.events import DeliverableAcknowledged, DeliverableDecided, DeliverableShown, TurnFinished
from app.assets import Assets
from tests import peers
from tests.conftest import OpenCore, Watch
from tests.scripted import Call
from tests.test_readme import ROOT, block, shop_of_the_readme
from tests.wire import serving

__all__ = ["shop_of_the_readme"]
CHROMIUM = shutil.which("chromium")
MODULES = ROOT / "web" / "node_modules"
missing = (
    "chromium is not installed"
    if CHROMIUM is None
    else "make test builds the widget first"
    if not MODULES.is_dir()
    else ""
)
pytestmark = pytest.mark.skipif(bool(missing) and os.environ.get("CI") != "true", reason=missing or "-")


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """The widget with the component of the README in it."""
    web = _copied(tmp_path)
    (web / "src" / "deliverables" / "callback.ts").write_text(block("A deliverable", "ts"))
    _build(web)
    return web / "dist"


def _copied(folder: Path) -> Path:
    """The sources of the widget, to be built without getting into anybody's way."""
    web = folder / "web"
    shutil.copytree(ROOT / "web", web, ignore=shutil.ignore_patterns("node_modules", "dist*", "pictures", "test"))
    (web / "node_modules").symlink_to(MODULES)
    return web


def _build(web: Path) -> set[str]:
    """The names of what belongs to this build."""
    subprocess.run([peers.node(), "build.mjs"], cwd=web, check=True, capture_output=True)
    return set(json.loads((web / "dist" / "manifest.json").read_text()).values())


def test_the_files_of_four_builds_before_stay_and_then_go(tmp_path: Path) -> None:
    web = _copied(tmp_path)
    style = web / "src" / "widget.css"
    builds = [_build(web)]
    for number in range(5):
        style.write_text(f"{style.read_text()}\n.n{number} {{ color: red; }}")
        builds.append(_build(web))
        assert _build(web) == builds[-1]  # nothing has changed: not one build more
    there = {file.name for file in (web / "dist").iterdir()} - {"manifest.json", "earlier.json"}
    assert there == set().union(*builds[1:])
    assert not builds[0] <= there


def test_the_component_keeps_to_the_types(tmp_path: Path) -> None:
    web = _copied(tmp_path)
    (web / "src" / "deliverables" / "callback.ts").write_text(block("A deliverable", "ts"))
    ran = subprocess.run(
        [peers.node(), "node_modules/typescript/bin/tsc", "--noEmit"], cwd=web, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout) == (0, "")


@pytest.mark.enable_socket
async def test_the_customer_picks_a_time_and_the_turn_goes_on(
    core: OpenCore, settings: Any, shop_of_the_readme: Any, built: Path, watching: Any
) -> None:
    from playwright.async_api import async_playwright, expect

    show = Call("displayCallback", {"about": "Your apples", "times": ["Monday 10:00", "Monday 17:00"]})
    steps = [show], "When shall we call?", "We call you on Monday at five."
    async with (
        core(*steps, team_file=shop_of_the_readme.team_file) as door,
        serving(settings, door) as served,
        async_playwright() as playwright,
    ):
        served.house.assets = Assets(built)
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.goto(f"{served.address}/widget/demo?mode=page")
        await page.get_by_role("textbox", name="Write a message").fill("Call me about the apples")
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Monday 17:00").click()
        await expect(page.get_by_role("log").get_by_text("We call you on Monday at five.")).to_be_visible()
        await expect(page.get_by_role("button", name="Monday 10:00")).to_have_count(0)
        await browser.close()
        watch: Watch = watching(door, *await _only(door))
        shown = await watch.event(DeliverableShown)
        assert shown.payload == {
            "about": "Your apples",
            "hours": "9:00 to 18:00",
            "times": ["Monday 10:00", "Monday 17:00"],
        }
        assert (await watch.event(DeliverableAcknowledged)).version == 1
        decided = await watch.event(DeliverableDecided)
        assert (decided.answer, decided.note) == (
            {"time": "Monday 17:00"},
            "[The customer wants to be called: Monday 17:00.]",
        )
        assert (await watch.event(TurnFinished)).status == "done"


async def _only(door: Any) -> tuple[Any, str]:
    """Who may see everything, and the one conversation there is."""
    from agent_core.door import Principal

    developer = Principal("developer", "developer")
    (line,) = await door.list(developer)
    return developer, line.conversation
