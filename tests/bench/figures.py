"""Figures, their targets, and a table of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """`most`: what is still good; None when it is only told."""

    name: str
    value: float
    unit: str = ""
    most: float | None = None

    @property
    def missed(self) -> bool:
        return self.most is not None and self.value > self.most


def percentile(values: Sequence[float], share: float) -> float:
    """0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def spread(name: str, values: Sequence[float], *, p95: float | None = None) -> list[Figure]:
    """In milliseconds."""
    return [
        Figure(f"{name} p50", percentile(values, 0.5), "ms"),
        Figure(f"{name} p95", percentile(values, 0.95), "ms", p95),
        Figure(f"{name} p99", percentile(values, 0.99), "ms"),
    ]


def report(title: str, figures: Sequence[Figure]) -> None:
    """Prints them. Exits with 1 when a target was missed."""
    # Others on the machine count for as much as we do; without knowing of them the figures say little.
    print(f"{title}; {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}\n")
    for figure in figures:
        target = "" if figure.most is None else f"<= {figure.most:g}{'   MISSED' if figure.missed else ''}"
        print(f"{figure.name:42} {figure.value:12,.1f} {figure.unit:8} {target}".rstrip())
    if any(figure.missed for figure in figures):
        raise SystemExit(1)
