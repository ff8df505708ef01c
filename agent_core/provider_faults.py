"""What a provider's refusals and failures mean: which error they are, and whether asking again can help."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from agent_core.errors import (
    AnswerCut,
    AnswerFiltered,
    AnswerTruncated,
    ModelError,
    ModelMisconfigured,
    ModelUnavailable,
)

#: 408 and 409 are OpenAI's "try again"; 425 is a proxy's.
BUSY = frozenset({408, 409, 425, 429})
TOO_LONG = "This conversation has become too long for me. Please start a new one."
_TOO_LONG_CODES = frozenset({"context_length_exceeded", "string_above_max_length"})
_TOO_LONG_WORDS = re.compile(r"context (length|window|size)|too many (input )?tokens|prompt is too long", re.IGNORECASE)
#: A 429 that waiting does not cure.
_UNPAID = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
#: As servers name what passes: server_error, InternalServerError, overloaded_error, rate_limit_exceeded.
_PASSING = re.compile(r"server_?error|internal|overload|unavailable|time_?(d_?)?out|rate_?limit", re.IGNORECASE)


class Fault(Exception):
    """One call that failed. `again`: a further call may succeed; `down`: counts against the provider's breaker."""

    def __init__(
        self, error: ModelError, *, again: bool = False, down: bool = False, wait: float | None = None
    ) -> None:
        super().__init__(str(error))
        self.error, self.again, self.down, self.wait = error, again, down, wait


def unavailable(why: str, *, wait: float | None = None) -> Fault:
    return Fault(ModelUnavailable(why), again=True, down=True, wait=wait)


def broken(why: str, *, begun: bool) -> Fault:
    """The connection failed. What has been said is not taken back, so only a silent call is made again."""
    return Fault(AnswerCut(why)) if begun else unavailable(why)


def too_long(why: str) -> Fault:
    return Fault(ModelMisconfigured(why, aloud=TOO_LONG))


def of_status(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """A refusal before the answer: any status but 200."""
    code, message = _refusal(body)
    why = f"HTTP {status}: {message}" if message else f"HTTP {status}"
    wait = retry_after(headers.get("Retry-After"), datetime.now(UTC))
    if status == 413 or (status == 400 and _is_too_long(code, message)):
        return too_long(why)
    if code in _UNPAID:
        return Fault(ModelMisconfigured(why))
    if status >= 500:
        return unavailable(why, wait=wait)
    if status in BUSY:  # alive, so it is not the breaker's business
        return Fault(ModelUnavailable(why), again=True, wait=wait)
    return Fault(ModelMisconfigured(why))


def of_event(error: Mapping[str, Any] | None, *, begun: bool) -> Fault:
    """A failure told inside the stream, or in its place: response.failed, error, or a chunk with an error."""
    code, message = _code(error or {}), str((error or {}).get("message") or "")
    why = f"the provider failed: {code or 'error'}: {message}"[:500]
    if begun:
        return Fault(AnswerCut(why))
    if _is_too_long(code, message):
        return too_long(why)
    if _PASSING.search(code) or not code or code.startswith("5"):
        return unavailable(why)
    if code.isdecimal() and int(code) in BUSY:
        return Fault(ModelUnavailable(why), again=True)
    return Fault(ModelMisconfigured(why))


def unfinished(reason: str | None) -> Fault:
    """The provider says itself that the answer is not whole."""
    match reason:
        case "length" | "max_output_tokens" | "max_tokens":
            return Fault(AnswerTruncated(f"the answer reached the model's limit ({reason})"))
        case "content_filter" | "safety":
            return Fault(AnswerFiltered("the provider's content filter withheld the rest"))
    return Fault(AnswerCut(f"the answer ended with {reason!r}"))


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait as the header asks, in digits or as an HTTP date; None when it says nothing of use."""
    value = (value or "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


def _refusal(body: bytes) -> tuple[str, str]:
    """Code and message of an error body, in whatever shape the server gives it."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    error = told.get("error", told) if isinstance(told, dict) else told
    if isinstance(error, str):
        return "", error[:300]
    return (_code(error), str(error.get("message") or "")[:300]) if isinstance(error, dict) else ("", "")


def _code(error: Mapping[str, Any]) -> str:
    return str(error.get("code") or error.get("type") or "")


def _is_too_long(code: str, message: str) -> bool:
    return code in _TOO_LONG_CODES or bool(_TOO_LONG_WORDS.search(message))
