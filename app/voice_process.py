"""The voice worker beside the server: a process of its own, begun with it, begun anew when it dies, ended with it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

logger = logging.getLogger("parley.voice")

#: It ends by itself when its standard input is closed: when we are gone, however that came.
COMMAND = (sys.executable, "-m", "voice.worker", "--beside")
#: Calls under way are told, and rooms left.
END_SECONDS = 12.0
#: How a worker ends that is not set up: to begin it anew would change nothing.
SETUP = 2


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. `first`: before it is begun anew, twice as long each time it has died at once, up to `longest`. One that
    has run for `healthy` has not died at once. After `tries` of those in a row it is given up."""

    first: float = 1.0
    longest: float = 60.0
    healthy: float = 60.0
    tries: int = 8


class VoiceProcess:
    def __init__(self, server: str, *, command: Sequence[str] = COMMAND, patience: Patience = Patience()) -> None:
        self._environment = {**os.environ, "PARLEY_VOICE_SERVER_URL": server}
        self._command, self._patience = command, patience
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="voice worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Whether nobody keeps it any more: it was ended, or given up."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _keep(self) -> None:
        died = 0
        while True:
            began = time.monotonic()
            code = self._run()
            if self._ending.is_set():
                return
            if code == SETUP:
                logger.error(
                    "the voice worker is not set up, as it says above; there are no calls until the next start"
                )
                return
            died = 1 if time.monotonic() - began >= self._patience.healthy else died + 1
            if died >= self._patience.tries:
                logger.error("the voice worker died %d times at once, and is given up until the next start", died)
                return
            self._pause(code, died)

    def _run(self) -> int:
        with self._lock:
            if self._ending.is_set():
                return 0
            self._process = subprocess.Popen(self._command, env=self._environment, stdin=subprocess.PIPE)
        return self._process.wait()

    def _pause(self, code: int, died: int) -> None:
        wait = min(self._patience.first * 2 ** (died - 1), self._patience.longest)
        logger.warning("the voice worker ended with %s; begun anew in %g s", code, wait)
        self._ending.wait(wait)

    def stop(self) -> None:
        with self._lock:
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
