"""What was measured of a realtime model, as rows that are added only; functions of a Connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from agent_core import log
from agent_core.gate import DEMANDS, LIVE, Demand, Measured
from agent_core.tables import gate_results

#: Of what was measured, and of calls: more than enough for every window.
KEPT = 2000


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured: a mode, with a model, for a team as it is told (`gate.told`)."""

    team: str
    told: str
    mode: str
    model: str


def every(connection: Connection, subject: Subject) -> list[Measured]:
    """The oldest first."""
    measured, calls = gate_results.c.kind != LIVE, gate_results.c.kind == LIVE
    rows = [row for which in (measured, calls) for row in _newest(connection, subject, which)]
    return [
        Measured(row.kind, row.passed, row.total, Demand(row.opens, row.closes), row.scenarios, row.steady, row.at)
        for row in sorted(rows, key=lambda row: int(row.id))
    ]


def newest(connection: Connection, subject: Subject) -> int:
    """The number of the newest row; 0 where there is none. Rows are added only, so the same number is the same rows."""
    return connection.execute(sa.select(sa.func.max(gate_results.c.id)).where(*_of(subject))).scalar() or 0


def _newest(connection: Connection, subject: Subject, which: sa.ColumnElement[bool]) -> Sequence[Row[Any]]:
    query = sa.select(gate_results).where(*_of(subject), which).order_by(gate_results.c.id.desc()).limit(KEPT)
    return connection.execute(query).all()


def keep(connection: Connection, subject: Subject, measured: Iterable[Measured]) -> None:
    for row in measured:
        values = {
            "team": subject.team,
            "told": subject.told,
            "mode": subject.mode,
            "model": subject.model,
            "kind": row.kind,
            "passed": row.passed,
            "total": row.total,
            "scenarios": row.scenarios,
            "steady": row.steady,
            "opens": row.demand.open,
            "closes": row.demand.close,
            "at": log.now_ms(),
        }
        connection.execute(sa.insert(gate_results), values)


def called(connection: Connection, subject: Subject, *, well: bool) -> None:
    """A call has ended: with its model, or without. One that went well is kept where it ends a row of failures."""
    here = sa.select(gate_results.c.passed).where(*_of(subject), gate_results.c.kind == LIVE)
    before = connection.execute(here.order_by(gate_results.c.id.desc()).limit(1)).scalar()
    if not well or before == 0:
        keep(connection, subject, [Measured(LIVE, int(well), 1, DEMANDS["none"])])


def _of(subject: Subject) -> tuple[sa.ColumnElement[bool], ...]:
    table = gate_results.c
    return (
        table.team == subject.team,
        table.told == subject.told,
        table.mode == subject.mode,
        table.model == subject.model,
    )
