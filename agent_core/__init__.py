"""The conversation: log, turns, agents, tool gateway, deliverables. `open_core(settings)` opens its door.

Names are loaded on first use, so that reading events or errors imports neither the SDK nor a database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent_core.core import open_core as open_core

__all__ = ["open_core"]


def __getattr__(name: str) -> Any:
    if name == "open_core":
        from agent_core.core import open_core

        return open_core
    raise AttributeError(name)
