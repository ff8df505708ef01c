"""Three times the load of `streams`: refusals with a time to come back, and every accepted turn to its end."""

from __future__ import annotations

from tests.bench import streams


def main(*arguments: str) -> None:
    streams.main("--streams", "600", *arguments)
