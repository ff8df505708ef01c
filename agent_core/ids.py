"""Ids: a prefix that says what it is, and 128 random bits."""

from __future__ import annotations

import secrets


def new(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(16)}"
