"""A call in the chat, and what the log says of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from playwright.async_api import BrowserContext

from tests.browser.caller import WATCHED, Caller, Microphone
from tests.browser.panel import Panel
from tests.browser.stage import Stage


async def chatting(town: Stage, microphone: Microphone, context: BrowserContext | None = None) -> Caller:
    context = context or await town.browser()
    await context.add_init_script(WATCHED)
    return Caller(await town.chat(context), microphone)


async def log(town: Stage, panel: Panel) -> list[dict[str, Any]]:
    """Of the conversation in this panel."""
    kept = json.loads((await panel.kept())["parley:demo"])
    url = f"/operator/conversations/{kept['conversation']}/history"
    answer = await town.served.http.get(url, headers=town.served.operator)
    return list(answer.json()["events"])


async def logged(town: Stage, panel: Panel, type_: str, count: int) -> list[dict[str, Any]]:
    """So many events of this type, when they are there."""
    found: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(60):
            while len(found) < count:
                await asyncio.sleep(0.2)
                found = [event for event in await log(town, panel) if event["type"] == type_]
    except TimeoutError:
        raise AssertionError(f"{count} of {type_} were awaited; there are {found}") from None
    return found


async def modes(town: Stage, panel: Panel, wanted: list[str]) -> list[Any]:
    """Until the conversation was in these, one after the other; answers why."""
    changes = await logged(town, panel, "mode.changed", len(wanted))
    assert [event["mode"] for event in changes] == wanted
    return [event.get("reason") for event in changes]
