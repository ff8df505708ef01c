"""How `parley` tells a shell or a CI job what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_core.errors import CallerError, ParleyError, SetupError

if TYPE_CHECKING:
    from agent_core.events import TurnFinished

OK = 0
EXPECTATION_FAILED = 1
USAGE = 2
PROVIDER = 3
REFUSED = 4
TIMEOUT = 5
INTERRUPTED = 130

MEANINGS = {
    OK: "ok",
    EXPECTATION_FAILED: "an expectation of the script failed",
    USAGE: "usage or configuration",
    PROVIDER: "the model's provider failed, or what is behind Parley did",
    REFUSED: "a guardrail refused, or an approval was refused or left open",
    TIMEOUT: "a turn took too long",
    INTERRUPTED: "interrupted",
}


def of_turn(ended: TurnFinished) -> int:
    if ended.code == "guardrail":
        return REFUSED
    if ended.code == "turn_timed_out":
        return TIMEOUT
    return PROVIDER if ended.code is not None or ended.status == "failed" else OK


def of_error(error: ParleyError) -> int:
    return USAGE if isinstance(error, CallerError | SetupError) else PROVIDER
