"""Describes this checkout to the side-by-side harness: `python -m tests.bench target > parley.json`.

Durability is on: SQLite in WAL with synchronous=FULL, the log of every event, the journal of every call. The harness
speaks as one visitor, over the same AG-UI route that stock clients use.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from agent_core.settings import Settings
from app.tokens import Tokens

ROOT = Path(__file__).parents[2]
SECRET = "only-for-benchmarks-on-loopback-0123456789"

#: One visitor stands for a crowd.
ALLOWANCES = (
    "PARLEY_CONVERSATIONS_PER_HOUR",
    "PARLEY_MESSAGES_PER_MINUTE",
    "PARLEY_READS_PER_MINUTE",
    "PARLEY_VISITOR_STREAMS",
)


def describe() -> dict[str, Any]:
    _who, token = Tokens(Settings(_env_file=None, secret=SECRET)).visitor()  # type: ignore[call-arg, arg-type]
    return {
        "name": "parley",
        "start": f"{shlex.quote(str(ROOT))}/.venv/bin/parley serve",
        "cwd": str(ROOT),
        "env": {
            "PARLEY_PORT": "{port}",
            "PARLEY_DATABASE_URL": "sqlite:///{data}/parley.db",
            "PARLEY_TEAM_FILE": str(ROOT / "tests/bench/team.yaml"),
            "PARLEY_SECRET": SECRET,
            "PARLEY_MODEL": "gpt-fake",
            "PARLEY_MODEL_API": "responses",
            "PARLEY_MAX_ACTIVE_TURNS": "2000",
            **dict.fromkeys(ALLOWANCES, str(10**6)),
            "PYTHONPATH": str(ROOT),
        },
        "path": "/agui/run",
        "headers": {"authorization": f"Bearer {token}"},
        "body": {
            "threadId": "{thread}",
            "runId": "{run}",
            "state": {},
            "tools": [],
            "context": [],
            "forwardedProps": {},
            "messages": [{"id": "{run}", "role": "user", "content": "{text}"}],
        },
        "events": {
            "text": [{"marker": '"TEXT_MESSAGE_CONTENT"', "field": ["delta"]}],
            "done": '"RUN_FINISHED"',
            "error": '"RUN_ERROR"',
        },
    }


def main() -> None:
    print(json.dumps(describe(), indent=2))
