"""Whole conversations with the demo team, each through every way to the door; together they show all it can do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent_core import open_core
from agent_core.deliverables import DELIVERABLES
from agent_core.settings import DEMO_TEAM
from agent_core.team import read_team
from app.repl.transcript import parse
from tests.stage import TRANSPORTS, play

FILES = sorted(Path(__file__).with_name("transcripts").glob("*.txt"))
LINES = [line for file in FILES for line in parse(file.read_text())]
TEAM = read_team(DEMO_TEAM, {"tools_database": "unused"})


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_it_is_said_again_to_the_letter(file, transport, settings):
    demo = settings.model_copy(update={"team_file": DEMO_TEAM})
    async with open_core(demo) as door, TRANSPORTS[transport](demo, door) as there:
        result, printed = await play(there, file.read_text())
        assert not result.report, f"{result.report}\n\n{printed}"


def test_every_tool_is_in_one_of_them():
    ran = {line.text.split(" ")[0] for line in LINES if line.kind == "tool"}
    offered = {tool for agent in TEAM.agents for tool in agent.tools}
    assert offered - ran == set()


def test_every_deliverable_is_in_one_of_them():
    shown = {line.text.split(":")[0] for line in LINES if line.kind == "card"}
    assert shown == set(DELIVERABLES)


def test_every_handoff_is_in_one_of_them():
    seen = {line.text for line in LINES if line.kind == "hand"}
    of_the_team = {f"{agent.name} -> {other}" for agent in TEAM.agents for other in agent.handoffs}
    # A language model's alone: the playbook goes on to who can do what is asked.
    assert of_the_team - seen == {"data_collection -> greeter"}


def test_every_outcome_of_an_approval_is_in_one_of_them():
    done = " ".join(line.text for line in LINES if line.kind == "you")
    assert "/approve" in done
    assert "/reject" in done
    assert re.search(r"/approve \{", done), "none edits the arguments"
    withdrawn = (file for file in FILES if re.search(r"^asks .*\nyou   > [^/]", file.read_text(), re.MULTILINE))
    assert any(withdrawn), "in none the customer goes on instead of answering"


def test_they_speak_five_languages():
    words = "".join(line.text for line in LINES if line.kind == "agent")
    for greeting in ("this is the demo", "hier ist die Demo", "esta es la demo", "voici la démo", "هذا عرض تجريبي"):
        assert greeting in words
