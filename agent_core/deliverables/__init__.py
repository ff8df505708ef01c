"""The deliverables there are, by name: every `Deliverable` that a module of this package defines.

To add one, add a module with one class here, and its component on the page.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import traceback
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agent_core.deliverable import Deliverable
from agent_core.errors import SetupError

Registry = dict[str, Deliverable[Any, Any]]
#: What each class says of its kind.
SAYS = ("name", "description", "Ask", "Payload", "answers")


def collect(package: str, path: Iterable[str], sources: Mapping[str, str] | None = None) -> Registry:
    """The deliverables of a package. `sources`: what a business calls the tool that prices a kind, where it has
    another name than `Deliverable.source`. Raises SetupError with the file of one that can't be used."""
    found: Registry = {}
    for cls in _classes(package, path):
        if cls.name in found:
            other = type(found[cls.name]).__module__
            raise SetupError(_file(cls.__module__), f"{other} and {cls.__module__} both define {cls.name}")
        found[cls.name] = cls((sources or {}).get(cls.name))
    return found


def _classes(package: str, path: Iterable[str]) -> Iterator[type[Deliverable[Any, Any]]]:
    for module in sorted(info.name for info in pkgutil.iter_modules(path)):
        members = vars(_imported(f"{package}.{module}"))
        for cls in list(members.values()):
            if inspect.isclass(cls) and issubclass(cls, Deliverable) and cls.__module__ == members["__name__"]:
                _refuse_unfinished(cls)
                yield cls


def _imported(module: str) -> Any:
    """A mistake in one of the owner's files is a line with its place, whatever it is."""
    try:
        return importlib.import_module(module)
    except Exception as error:
        file = _file(module)
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(file)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        place = file if line is None else f"{file}, line {line}"
        raise SetupError(place, f"{type(error).__name__}: {error}") from error


def _refuse_unfinished(cls: type[Deliverable[Any, Any]]) -> None:
    missing = [*(name for name in SAYS if not hasattr(cls, name)), *sorted(cls.__abstractmethods__)]
    if missing:
        raise SetupError(_file(cls.__module__), f"{cls.__name__} has no {', '.join(missing)}")


def _file(module: str) -> str:
    return module.replace(".", "/") + ".py"


DELIVERABLES = collect(__name__, __path__)
