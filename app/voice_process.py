"""The voice worker beside the server: a process of its own, begun with it, begun anew when it dies, ended with it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger("parley.voice")

COMMAND = (sys.executable, "-m", "voice.worker")
#: Before it is begun anew; twice as long each time it has died at once, up to a minute.
AGAIN_SECONDS, AGAIN_AT_MOST = 1.0, 60.0
#: Calls under way are told, and rooms left.
END_SECONDS = 12.0
#: How a worker ends that is not set up: to begin it anew would change nothing.
SETUP = 2


class VoiceProcess:
    def __init__(self, server: str) -> None:
        self._environment = {**os.environ, "PARLEY_VOICE_SERVER_URL": server}
        self._ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="voice worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _keep(self) -> None:
        wait = AGAIN_SECONDS
        while not self._ending.is_set():
            self._process = subprocess.Popen(COMMAND, env=self._environment)
            code = self._process.wait()
            if self._ending.is_set() or code == SETUP:
                return
            logger.warning("the voice worker ended with %s; begun anew in %g s", code, wait)
            self._ending.wait(wait)
            wait = min(2 * wait, AGAIN_AT_MOST)

    def stop(self) -> None:
        self._ending.set()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._thread.join(1)


@contextmanager
def beside(server: str) -> Iterator[VoiceProcess]:
    """`server`: where the worker finds us."""
    worker = VoiceProcess(server)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()
