"""The widget knows what the server knows, and stays small."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path

import pytest

from agent_core import events, money

WEB = Path(__file__).parent.parent / "web"
#: Sizes as they travel, in bytes.
LOADER, WIDGET, LINE = 5 * 1024, 45 * 1024, 170 * 1024


@pytest.fixture(scope="module")
def built() -> dict[str, int]:
    """Each file of the build, gzipped as the server does it at best."""
    manifest = WEB / "dist" / "manifest.json"
    if not manifest.exists():
        if os.environ.get("CI") == "true":
            pytest.fail("the widget is not built: make web")
        pytest.skip("the widget is not built: make web")
    names = set(json.loads(manifest.read_text(encoding="utf-8")).values())
    return {name: len(gzip.compress((WEB / "dist" / name).read_bytes(), 9)) for name in names}


def test_the_loader_is_small(built: dict[str, int]) -> None:
    assert built["loader.js"] <= LOADER


def test_what_a_customer_loads_is_small(built: dict[str, int]) -> None:
    languages = {name for name in built if re.match("[a-z]{2}-", name)}
    assert len(languages) == 5
    later = languages | {"loader.js", line(built)}
    all_else = sum(size for name, size in built.items() if name not in later)
    assert all_else + max(built[name] for name in languages) <= WIDGET


def test_what_the_first_call_loads_is_a_file_of_its_own_and_not_large(built: dict[str, int]) -> None:
    assert built[line(built)] <= LINE


def line(built: dict[str, int]) -> str:
    """LiveKit's client; nobody who does not speak loads it."""
    (name,) = (name for name in built if name.startswith("livekit-"))
    return name


def test_the_widget_knows_every_event_and_no_other() -> None:
    fold = (WEB / "src" / "state.ts").read_text(encoding="utf-8")
    cases = set(re.findall(r'case "([a-z.]+)":', fold)) - {"reset", "text.delta"}
    assert cases == set(events.TYPES)


def test_the_widget_counts_a_currencys_digits_as_the_server_does() -> None:
    text = (WEB / "src" / "money.ts").read_text(encoding="utf-8")
    listed = {name: re.search(rf'{name} = "([A-Z ]+)"', text) for name in ("NO_DIGITS", "THREE_DIGITS")}
    theirs = {name: set(found[1].split()) for name, found in listed.items() if found}
    ours = {digits: {code for code in money.CURRENCIES if money.digits(code) == digits} for digits in (0, 2, 3)}
    assert theirs == {"NO_DIGITS": ours[0], "THREE_DIGITS": ours[3]}
    assert ours[0] | ours[2] | ours[3] == money.CURRENCIES
