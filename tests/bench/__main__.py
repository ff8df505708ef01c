"""What things cost: `python -m tests.bench NAME`.

target     describe this checkout to the side-by-side harness
streams    live streams: how late a word is, how long an acknowledgement takes
overload   three times as many: what is refused, and whether the rest is finished
idle       what an open feed takes, and how a restart goes
"""

from __future__ import annotations

import importlib
import sys

NAMES = ("target", "streams", "overload", "idle")


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        print(__doc__)
        raise SystemExit(2)
    importlib.import_module(f"tests.bench.{sys.argv[1]}").main(*sys.argv[2:])


if __name__ == "__main__":
    main()
