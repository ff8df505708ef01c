"""Phone numbers as people write them, and as the business keeps them."""

from __future__ import annotations

import re


def normal(written: str) -> str:
    """`0171 392-0001`, `0049171...` and `+49171...` are one number; numbers without a country are German."""
    digits = re.sub(r"\D", "", written)
    if written.strip().startswith("+"):
        return f"+{digits}"
    if digits.startswith("00"):
        return f"+{digits[2:]}"
    return f"+49{digits.removeprefix('0')}"
