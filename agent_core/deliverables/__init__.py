"""The deliverables there are, by name: every `Deliverable` that a module of this package defines.

To add one, add a module with one class here, and its component on the page.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agent_core.deliverable import Deliverable

Registry = dict[str, Deliverable[Any, Any]]


def collect(package: str, path: Iterable[str], sources: Mapping[str, str] | None = None) -> Registry:
    """The deliverables of a package. `sources`: what a business calls the tool that prices a kind, where it has
    another name than `Deliverable.source`."""
    found: Registry = {}
    for cls in _classes(package, path):
        if cls.name in found:
            raise ValueError(f"{cls.__module__} and {type(found[cls.name]).__module__} both define {cls.name}")
        found[cls.name] = cls((sources or {}).get(cls.name))
    return found


def _classes(package: str, path: Iterable[str]) -> Iterator[type[Deliverable[Any, Any]]]:
    for module in sorted(info.name for info in pkgutil.iter_modules(path)):
        members = vars(importlib.import_module(f"{package}.{module}"))
        for cls in list(members.values()):
            if inspect.isclass(cls) and issubclass(cls, Deliverable) and cls.__module__ == members["__name__"]:
                yield cls


DELIVERABLES = collect(__name__, __path__)
