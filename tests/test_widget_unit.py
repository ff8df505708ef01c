"""The widget's parts without a screen: Node runs their tests, which are in web/test."""

from __future__ import annotations

import os
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
    run = subprocess.run(
        [peers.node(), "build.mjs", "--tests", str(into)], cwd=WEB, capture_output=True, text=True, timeout=SECONDS
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return into


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
