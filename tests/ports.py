"""A port for a server of another process, which has to be told before it listens."""

from __future__ import annotations

import random
import socket

#: Outside of what Linux gives to outgoing connections: else one of these may get the port before the server does.
RANGE = range(15_000, 32_000)
_chance = random.SystemRandom()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    while True:
        port = _chance.choice(RANGE)
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
