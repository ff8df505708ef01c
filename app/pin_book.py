"""What `parley pins` does: reads and writes rows, also while a server has the database; it notices within two seconds.

Each function returns what is printed, and raises CallerError or SetupError.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from agent_core import tool_pins
from agent_core.errors import Invalid
from agent_core.settings import Settings
from agent_core.tool_pins import SHORT, Pin
from app.books import changes, moment, opened

#: Eight figures name one among many thousands by mere chance.
FIGURES = 8


async def show_all(settings: Settings, *, as_json: bool = False) -> str:
    pins = await _every(settings)
    if as_json:
        return _json([asdict(pin) for pin in pins])
    if not pins:
        return "No tool was seen yet: the first start pins them."
    width = max(len(pin.tool) for pin in pins)
    told = [f"{pin.tool:{width}}  {pin.pin[:SHORT]}  {moment(pin.approved_at)}, {pin.approved_by}" for pin in pins]
    waiting = _waiting(pins)
    if not waiting:
        return "\n".join(told)
    told += ["", "Changed, and not offered:"]
    told += [f"{pin.tool:{width}}  {str(pin.changed_pin)[:SHORT]}  {moment(pin.changed_at or 0)}" for pin in waiting]
    return "\n".join([*told, "", "Read what has changed: parley pins diff"])


async def diff(settings: Settings) -> str:
    waiting = _waiting(await _every(settings))
    if not waiting:
        return "Nothing waits for approval."
    names = " ".join(dict.fromkeys(str(pin.changed_pin)[:SHORT] for pin in waiting))
    return "\n".join(
        [*map(_change, waiting), "", f"To let agents call them as they are now: parley pins approve {names}"]
    )


async def approve(settings: Settings, pins: list[str], *, author: str) -> str:
    if short := next((pin for pin in pins if len(pin) < FIGURES), None):
        raise Invalid("pin", f"{short!r}: at least its first {FIGURES} figures")
    async with opened(settings) as database:
        tools = await database.write(lambda c: [tool for pin in pins for tool in tool_pins.approve(c, pin, by=author)])
    return f"Approved: {', '.join(tools)}"


async def _every(settings: Settings) -> list[Pin]:
    async with opened(settings) as database:
        return await database.read(tool_pins.every)


def _waiting(pins: list[Pin]) -> list[Pin]:
    return [pin for pin in pins if pin.changed_pin is not None]


def _change(pin: Pin) -> str:
    approved, now = _json(pin.definition), _json(pin.changed)
    return changes(approved, now, f"{pin.tool} as approved", f"{pin.tool} now")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
