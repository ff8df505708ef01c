"""The worker beside the server: begun anew when it dies, never in a hurry, given up in words, and gone when we are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from app.voice_process import Patience, VoiceProcess

HASTY = Patience(first=0.01, longest=0.02, healthy=60, tries=4)

#: Notes that it has begun, and by whom; then it lives until its standard input is closed.
LIVES = """
import os, sys
with open(sys.argv[1], "a") as file: print(os.getpid(), file=file)
sys.stdin.read()
"""
DIES = """
import os, sys
with open(sys.argv[1], "a") as file: print(os.getpid(), file=file)
sys.exit(int(sys.argv[2]))
"""


def begun(file: Path, count: int, seconds: float = 20) -> list[int]:
    """The processes that have begun, as soon as there are so many."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ids = [int(line) for line in file.read_text().split()] if file.exists() else []
        if len(ids) >= count:
            return ids
        time.sleep(0.02)
    raise AssertionError(f"only {ids} have begun")


def gone(process: int, seconds: float = 20) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(ChildProcessError):
            os.waitpid(process, os.WNOHANG)
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def kept(file: Path, code: str, *arguments: str) -> VoiceProcess:
    return VoiceProcess("http://unused", command=(sys.executable, "-c", code, str(file), *arguments), patience=HASTY)


def test_a_worker_that_is_killed_is_begun_anew_and_ends_with_us(tmp_path, caplog):
    worker = kept(tmp_path / "begun", LIVES)
    worker.start()
    first = begun(tmp_path / "begun", 1)[0]
    os.kill(first, signal.SIGKILL)
    second = begun(tmp_path / "begun", 2)[1]
    worker.stop()
    assert gone(second)
    assert worker.wait(10)
    assert "begun anew" in caplog.text
    assert len(begun(tmp_path / "begun", 2)) == 2


def test_a_worker_that_dies_at_once_each_time_is_given_up_in_words(tmp_path, caplog):
    worker = kept(tmp_path / "begun", DIES, "1")
    worker.start()
    assert worker.wait(20)
    assert len(begun(tmp_path / "begun", 1)) == HASTY.tries
    assert "given up" in caplog.text
    worker.stop()


def test_it_waits_longer_each_time(caplog):
    waits = [min(Patience().first * 2**n, Patience().longest) for n in range(Patience().tries)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_worker_that_is_not_set_up_is_not_begun_again(tmp_path, caplog):
    worker = kept(tmp_path / "begun", DIES, "2")
    worker.start()
    assert worker.wait(20)
    assert len(begun(tmp_path / "begun", 1)) == 1
    assert "not set up" in caplog.text
    worker.stop()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_whose_server_is_killed_does_not_stay_behind(tmp_path, number):
    server = f"""
import sys, time
from app.voice_process import VoiceProcess
VoiceProcess("http://unused", command=(sys.executable, "-c", {LIVES!r}, {str(tmp_path / "begun")!r})).start()
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", server])
    worker = begun(tmp_path / "begun", 1)[0]
    process.send_signal(number)
    process.wait(10)
    assert gone(worker)
