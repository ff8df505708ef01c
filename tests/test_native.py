"""Our own events on the wire."""

from __future__ import annotations

import types
import typing
from dataclasses import MISSING, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_core.events import TYPES, Event, Logged, Reset, TextDelta, Watched
from app import native

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
JSON = st.dictionaries(TEXT, st.one_of(TEXT, st.integers(0, 10**6), st.none(), st.lists(TEXT, max_size=3)), max_size=3)


def _values(hint: Any) -> st.SearchStrategy[Any]:
    origin = typing.get_origin(hint)
    if hint is str:
        return TEXT
    if hint is int:
        return st.integers(0, 10**12)
    if origin is types.UnionType:
        return st.one_of(*[st.none() if arg is type(None) else _values(arg) for arg in typing.get_args(hint)])
    if origin is tuple:
        return st.lists(TEXT, max_size=3).map(tuple)
    if origin is list:
        return st.lists(JSON, max_size=3)
    if origin is dict:
        return JSON
    raise AssertionError(f"no values for {hint}")


def _events(cls: type[Event]) -> st.SearchStrategy[Event]:
    hints = typing.get_type_hints(cls)
    return st.builds(cls, **{f.name: _values(hints[f.name]) for f in fields(cls)})


EVENTS = st.one_of(*[_events(cls) for cls in TYPES.values()])
LOGGED = st.builds(Logged, st.integers(1, 10**9), st.integers(0, 2**42), EVENTS)
DELTAS = st.builds(TextDelta, st.integers(0, 10**6), TEXT, TEXT, TEXT, st.integers(0, 9999), TEXT)
RESETS = st.builds(Reset, st.fixed_dictionaries({"version": st.integers(0, 999).map(str), "items": st.lists(JSON)}))


@given(st.one_of(LOGGED, DELTAS, RESETS))
def test_what_is_written_reads_back_the_same(item: Watched) -> None:
    assert native.from_text(native.to_text(item)) == item


@given(st.one_of(LOGGED, DELTAS, RESETS))
def test_a_frame_is_two_lines_and_a_blank_one_whatever_the_text_holds(item: Watched) -> None:
    id_, data, *rest = native.to_frame(item).decode().split("\n")
    assert id_ == f"id: {item.cursor}"
    assert native.from_text(data.removeprefix("data: ")) == item
    assert rest == ["", ""]


def test_no_field_of_an_event_hides_its_place_or_type() -> None:
    for cls in TYPES.values():
        assert not {"seq", "at", "type"} & {f.name for f in fields(cls)}, cls


def test_fields_that_say_nothing_are_left_out() -> None:
    cls = TYPES["message.finished"]
    required = {f.name: "x" for f in fields(cls) if f.default is MISSING}
    assert set(native.to_dict(Logged(1, 2, cls(**required)))) == {"seq", "at", "type", *required}


def test_a_newer_servers_event_is_told_from_nonsense() -> None:
    with pytest.raises(native.UnknownEvent):
        native.from_text('{"seq":1,"at":2,"type":"moon.landed"}')


@pytest.mark.parametrize("text", ["[]", "{}", "7", '{"type":"reset"}', '{"type":"text.delta","seq":1}', "not json"])
def test_nonsense_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an event|Expecting value"):
        native.from_text(text)


def test_a_newer_servers_field_is_left_out() -> None:
    item = native.from_text('{"seq":1,"at":2,"type":"turn.started","turn":"t","agent":"a","colour":"red"}')
    assert item == Logged(1, 2, TYPES["turn.started"](turn="t", agent="a"))  # type: ignore[call-arg]
