"""A mistake in a team, in words for its owner: pydantic's own speak of Python's types. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

_MAPPING, _LIST = "must be a mapping, such as {name: value}", "must be a list, such as [a, b]"
_WORDS = {
    "missing": "is missing",
    "tuple_type": _LIST,
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "string_type": "must be a text",
    "float_type": "must be a number",
}


def mistake(error: ValidationError, whole: type[BaseModel], parts: Mapping[str, type[BaseModel]]) -> tuple[str, str]:
    """(place, words) of one. `parts`: what stands in which field, in the whole or further inside.

    A misspelt field comes before one that is missing: most often they are the same.
    """
    errors = error.errors()
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    place = ".".join(str(part) for part in first["loc"]) or first.get("ctx", {}).get("place") or "team"
    if first["type"] != "extra_forbidden":
        return place, _WORDS.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    *above, name = first["loc"]
    return place, _no_such(str(name), _kind(above, whole, parts))


def _kind(above: list[Any], whole: type[BaseModel], parts: Mapping[str, type[BaseModel]]) -> type[BaseModel]:
    """Of what is there; numbers, and the names that owners give, lead nowhere else."""
    kind = whole
    for part in above:
        if part in kind.model_fields:
            kind = parts.get(part, kind)
    return kind


def _no_such(name: str, kind: type[BaseModel]) -> str:
    close = difflib.get_close_matches(name, kind.model_fields, 1)
    meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(kind.model_fields)}"
    return f"there is no field {name!r}; {meant}"
