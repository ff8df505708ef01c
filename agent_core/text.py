"""Text that any database, JSON reader and screen can take."""

from __future__ import annotations

import re

_UNFIT = re.compile("[\x00\ud800-\udfff]")


def wellformed(text: str) -> str:
    """Without NUL (PostgreSQL refuses it) and lone surrogates (UTF-8 has no bytes for them): U+FFFD in their place."""
    return text if text.isascii() and "\x00" not in text else _UNFIT.sub("\ufffd", text)


def one_line(text: str, most: int) -> str:
    """For a list that others read: nothing in it that moves the cursor or turns the text around."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:most]
