"""The rooms keep to themselves, and what is written about them is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from agent_core import events
from agent_core.settings import Settings

ROOT = Path(__file__).parent.parent


def test_the_import_rules_hold():
    run = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_reading_the_vocabulary_imports_neither_the_sdk_nor_a_database():
    code = (
        "import sys, agent_core.events, agent_core.door, agent_core.errors, agent_core.snapshot;"
        "print([m for m in ('agents', 'openai', 'sqlalchemy', 'mcp') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert run.stdout.strip() == "[]", run.stderr


def test_the_example_of_the_environment_explains_every_setting():
    text = (ROOT / ".env.example").read_text()
    explained = set(re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE))
    settings = {
        name.upper() if name.startswith("openai_") else f"PARLEY_{name.upper()}" for name in Settings.model_fields
    }
    assert explained == settings


def test_the_vocabulary_is_pinned():
    """A new event is a decision: the fold, the encoder and the widget must know it."""
    assert sorted(events.TYPES) == [
        "agent.changed",
        "conversation.started",
        "customer.identified",
        "deliverable.acknowledged",
        "deliverable.decided",
        "deliverable.shown",
        "feedback.given",
        "floor.changed",
        "interrupt.decided",
        "interrupt.opened",
        "message.added",
        "message.finished",
        "message.heard",
        "mode.changed",
        "setting.changed",
        "state.changed",
        "tool.called",
        "tool.finished",
        "turn.finished",
        "turn.resumed",
        "turn.started",
        "turn.waiting",
        "usage.counted",
    ]


def test_no_file_of_ours_is_too_long_to_be_one_noun():
    long = {
        str(file.relative_to(ROOT)): lines
        for room in ("agent_core", "app", "tools", "voice")
        for file in (ROOT / room).rglob("*.py")
        if (lines := len(file.read_text().splitlines())) > 450
    }
    assert long == {}
