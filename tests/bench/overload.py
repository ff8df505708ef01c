"""Three times the load: `python -m tests.bench overload`. What is taken is finished; what is too much is told when to return."""

from __future__ import annotations

import tempfile
from pathlib import Path

import uvloop

from tests.bench.figures import Figure, report, spread
from tests.bench.streams import Load, carry


def main(*arguments: str) -> None:
    load = Load.parse(arguments, streams=600, seconds=60)
    with tempfile.TemporaryDirectory() as directory:
        result = uvloop.run(carry(load, Path(directory)))
    notes = result.notes
    figures = [
        Figure("turns accepted", len(notes.accepted)),
        Figure("turns finished", notes.turns["done"]),
        Figure("turns refused, with Retry-After", len(notes.refused)),
        *spread("acknowledgement of an accepted turn", notes.accepted, p95=500),
        *spread("refusal", notes.refused),
        *spread("lateness of a delta", notes.late),
        *result.wrongs(),
        *result.figures(),
    ]
    report(f"{load.streams} streams, {load.rate} deltas/s each, {load.seconds:g} s, clients that come back", figures)
