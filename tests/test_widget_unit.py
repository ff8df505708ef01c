"""The widget's parts without a screen: Node runs their tests, which are in web/test."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import peers

WEB = Path(__file__).parent.parent / "web"
FILES = sorted(file.stem for file in (WEB / "test").glob("*.test.ts"))
SECONDS = 120


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each test file as one that Node can run."""
    if not (WEB / "node_modules").is_dir():
        missing("what builds the widget is not installed: make web")
    into = tmp_path_factory.mktemp("widget")
    run = built(WEB, "--tests", str(into))
    assert run.returncode == 0, run.stdout + run.stderr
    return into


def built(web: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [peers.node(), "build.mjs", *arguments]
    return subprocess.run(command, cwd=web, capture_output=True, text=True, timeout=SECONDS)


def missing(why: str) -> None:
    """A reason to leave it; where everything has been installed for the tests, a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@pytest.mark.parametrize("name", FILES)
def test_the_widgets_own_tests_pass(bundles: Path, name: str) -> None:
    command = [peers.node(), "--test", "--test-timeout=60000", str(bundles / f"{name}.mjs")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert run.returncode == 0, run.stdout + run.stderr


def test_it_is_built_wherever_the_clone_lies(bundles: Path, tmp_path: Path) -> None:
    web = tmp_path / "Mira's clönes (100 %)" / "web"
    shutil.copytree(WEB, web, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (web / "node_modules").symlink_to(WEB / "node_modules")
    run = built(web)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (web / "dist" / "manifest.json").is_file()
