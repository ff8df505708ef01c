"""Set-up by make: what is missing is told, what was cut off or has changed is installed anew."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_a_python_that_is_too_old_is_told(tmp_path: Path) -> None:
    command = ["make", "-f", str(ROOT / "Makefile"), "PYTHON=/bin/false", "run"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode != 0
    assert "Parley needs Python 3.11 or newer" in ran.stdout
    assert not (tmp_path / ".venv").exists()


def make(folder: Path, target: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    shutil.copy(ROOT / "Makefile", folder)
    return subprocess.run(["make", target], cwd=folder, capture_output=True, text=True, env=environment)


def lay_out(folder: Path, *names: str, script: str) -> None:
    """Files that a set-up of before left there, of which those in bin/ are this script."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(script if "/bin/" in name else "")
        (folder / name).chmod(0o755)


def test_make_run_serves_without_a_widget_and_warns_of_nothing_else(tmp_path: Path) -> None:
    names = ("deploy/requirements.lock", "pyproject.toml", ".venv/.uv", ".venv/bin/parley", ".venv/.runtime")
    lay_out(tmp_path, *names, script='#!/bin/sh\necho "served: $*"\n')
    ran = make(tmp_path, "run")
    assert ran.stdout.splitlines()[-1] == "served: serve"
    assert "The widget could not be built" in ran.stdout
    assert "warning" not in ran.stderr
    assert "up to date" not in ran.stdout


def test_a_set_up_that_was_cut_off_installs_anew_what_it_left(tmp_path: Path) -> None:
    """uv takes half a package for a whole one, and `make test` leaves some that `make run` wants."""
    names = ("deploy/requirements.lock", "deploy/requirements-dev.lock", "pyproject.toml", ".venv/.uv", ".venv/bin/uv")
    lay_out(tmp_path, *names, script="#!/bin/sh\nkill -9 $PPID\n")
    assert make(tmp_path, ".venv/.dev").returncode != 0
    lay_out(tmp_path, ".venv/bin/uv", script='#!/bin/sh\necho "uv $*"\n')
    for target in (".venv/.runtime", ".venv/.dev"):
        assert "--reinstall" in make(tmp_path, target).stdout
    (tmp_path / ".venv/.runtime").unlink()
    assert "--reinstall" not in make(tmp_path, ".venv/.runtime").stdout


def test_new_requirements_are_installed_where_somebody_has_tested_before(tmp_path: Path) -> None:
    lay_out(tmp_path, ".venv/.uv", ".venv/bin/uv", ".venv/.dev", ".venv/.runtime", script='#!/bin/sh\necho "uv $*"\n')
    lay_out(tmp_path, "pyproject.toml", "deploy/requirements.lock", script="")
    os.utime(tmp_path / ".venv/.runtime", (0, 0))
    assert "-r deploy/requirements.lock" in make(tmp_path, ".venv/.runtime").stdout
