"""What may reach a terminal. Texts of models, tools and customers are data: they must not move cursors or hide words."""

from __future__ import annotations

import re

#: C0 and C1 controls but for newline and tab (escape sequences begin with one of them), and the marks that reorder
#: or hide text: an approval must read as what is run ("Trojan Source", CVE-2021-42574).
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)


def clean(text: str) -> str:
    """Without what a terminal would obey; stateless, so it holds for any cut of a stream as for the whole."""
    return _UNSAFE.sub("", text)


def one_line(text: str, width: int = 200) -> str:
    """Clean, on one line, and no longer than `width`."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= width else flat[: width - 3] + "..."
