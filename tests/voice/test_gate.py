"""The gate's measurement: a good model opens it, and each thing that a realtime model does wrong is counted against it."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from agent_core import gate_scenarios
from agent_core.errors import SetupError
from agent_core.gate import judge, needed
from agent_core.models import DemoModels
from agent_core.settings import DEMO_TEAM
from agent_core.team import read_team
from app import gate_book
from tests.scripted import Call as CoreCall
from tests.scripted import ScriptedModels
from tests.voice import playbook
from tests.voice.fake_realtime import Call, Faults, Items, Say, realtime_server
from voice import gate
from voice.gate import Patience, Stage
from voice.realtime import SPOKEN

RULES = {"lookup": {"idempotent": True}, "lock": {"approval": True}}
LOOKUP = {
    "name": "a look-up",
    "says": ["What is x?"],
    "calls": [{"tool": "lookup", "arguments": {"q": "X"}}],
    "answer": ["forty-two|42"],
    "results": {"lookup": "x: 42"},
}
LOCK = {
    "name": "a card is locked",
    "says": ["Please lock A1."],
    "calls": [{"tool": "lock", "arguments": {"card": "A1"}}],
    "answer": ["locked"],
    "results": {"lock": "locked A1"},
}
ALERT = {"name": "a card", "says": ["Show me."], "calls": [{"tool": "displayAlert"}]}
HANDOFF = {"name": "an expert", "says": ["An expert, please."], "calls": [{"tool": "transfer_to_expert"}]}
THANKS = {"name": "thanks", "says": ["Thank you."]}
EVERY = [LOOKUP, LOCK, ALERT, HANDOFF, THANKS]

#: What a good model does with the last words; a tool's output is what it says.
GOOD = {
    "What is x?": Call("lookup", {"q": "x"}),
    "Please lock A1.": Call("lock", {"card": "A1"}),
    "Show me.": Call("displayAlert", {"level": "info", "title": "Here", "text": "It is."}),
    "An expert, please.": Call("transfer_to_expert"),
    "Thank you.": Say("You are welcome."),
}


def brain(moves: dict[str, Any]):
    """Does that for each words, and says what came of it."""

    def answer(items: Items) -> list[Say | Call]:
        last = items[-1]
        if last["type"] == "function_call_output":
            return [Say(str(last["output"]))]
        text = "".join(part.get("text") or "" for part in last["content"])
        if last["role"] == "system":
            return [Say(text)]
        moves_ = moves.get(text, Say("Pardon?"))
        return moves_ if isinstance(moves_, list) else [moves_]

    return answer


@asynccontextmanager
async def answering(answer: Any):
    """A realtime server whose second agent, who hears the same words again, only says that it is there."""

    def by_whom(items: Items) -> list[Say | Call]:
        expert = "You know more." in (fake.session("instructions") or "")
        return [Say("An expert here.")] if expert else answer(items)

    async with realtime_server(by_whom) as (fake, url):
        yield fake, url


@pytest.fixture
def owned(settings, tmp_path):
    """The small team with rules, and the scenarios of an owner."""
    team = yaml.safe_load(settings.team_file.read_text())
    team["tools"] |= {name: {**team["tools"].get(name, {}), **rule} for name, rule in RULES.items()}
    team["agents"][1]["handoffs"] = []
    settings.team_file.write_text(yaml.safe_dump(team))
    settings.team_file.with_name("gate.yaml").write_text(yaml.safe_dump({"scenarios": EVERY}))
    return settings


def keyed(settings, url):
    return settings.model_copy(update={"openai_api_key": SecretStr("test"), "openai_base_url": url, "model": "text"})


async def classes(stage, scenarios, times, lines):
    runs = [
        run async for of_a_round in gate.rounds(stage, scenarios, times=times, told=lines.append) for run in of_a_round
    ]
    return gate.counted(runs, scenarios, stage.team)


async def measured(settings, moves, *scenarios, times=1, faults=None, mode="realtime", models=None):
    """The classes, and the lines that were told."""
    lines: list[str] = []
    answer = moves if callable(moves) else brain(moves)
    async with answering(answer) as (fake, url):
        fake.faults = faults or Faults()
        here = keyed(settings, url)
        team = read_team(here.team_file)
        read = gate_scenarios.Scenarios.model_validate({"scenarios": scenarios})
        stage = Stage(here, team, mode, models or ScriptedModels(), Patience(silence=1.5, answer=20))
        found = await classes(stage, read, times, lines)
        instructions = fake.session("instructions") or ""
    return {row.kind: row for row in found}, "\n".join(lines), instructions


async def test_a_good_model_passes_in_every_class_and_no_tool_of_the_business_is_called(owned, shop):
    found, told, instructions = await measured(owned, GOOD, *EVERY, times=2)
    assert set(found) == {"read", "write", "deliverable", "handoff", "none"}
    assert {(row.passed, row.total, row.scenarios, row.steady) for row in found.values()} == {(2, 2, 1, 1)}, told
    assert shop.effects == []
    assert instructions.endswith(SPOKEN)  # as on a call


FAULTY = {
    "a call that is dropped": (GOOD, Faults(drop_calls=True), "lookup was called not at all"),
    "a call that is made twice": ({"What is x?": Call("lookup", {"q": "x"}, times=2)}, None, "lookup was called twice"),
    "a name that is no tool's": ({"What is x?": Call("look_up", {"q": "x"})}, None, "look_up is no tool"),
    "another tool": ({"What is x?": Call("refuse", {"why": "x"})}, None, "refuse was called, which was not due"),
    "arguments that are no JSON": ({"What is x?": Call("lookup", '{"q": "x"')}, None, "are no JSON object"),
    "arguments that do not fit": ({"What is x?": Call("lookup", {"q": 1})}, None, "lookup: the arguments do not fit"),
    "other arguments": ({"What is x?": Call("lookup", {"q": "y"})}, None, 'lookup was called with {"q": "y"}'),
    "a result that is not used": (
        lambda items: [Say("Hm.")] if items[-1]["type"] == "function_call_output" else [GOOD["What is x?"]],
        None,
        "the answer does not say 'forty-two|42'",
    ),
    "no call": ({"What is x?": Say("It is 42.")}, None, "lookup was called not at all"),
    "silence": (GOOD, Faults(mute=True), "the model fell silent"),
    "a line that is cut": (GOOD, Faults(close_after_created=True), "the model fell silent, or its line was lost"),
    "a refusal": (GOOD, Faults(reject="rate_limit_exceeded"), "the model fell silent"),
}


@pytest.mark.parametrize("name", FAULTY)
async def test_what_a_model_does_wrong_is_counted_and_named(owned, shop, name):
    moves, faults, why = FAULTY[name]
    found, told, _ = await measured(owned, moves, LOOKUP, faults=faults)
    assert (found["read"].passed, found["read"].total) == (0, 1)
    assert why in told
    assert shop.effects == []


async def test_a_call_that_is_not_due_is_counted_against_the_words_that_need_none(owned):
    moves = {"Thank you.": [Call("lookup", {"q": "x"})]}
    found, told, _ = await measured(owned, moves, THANKS)
    assert (found["none"].passed, found["none"].total) == (0, 1)
    assert "lookup was called, which was not due" in told


async def test_a_model_that_speaks_while_the_customer_is_asked_still_has_its_turn(owned):
    def asks_first(items: Items) -> list[Say | Call]:
        if "It waits" in str(items[-1].get("output")):
            return [Say("Please confirm it on your screen.")]
        return brain(GOOD)(items)

    found, told, _ = await measured(owned, asks_first, LOCK)
    assert found["write"].passed == 1, told


async def test_a_supervised_model_has_to_ask_and_to_say_what_it_is_answered(owned, shop, caplog):
    ask = {"What is x?": Call("ask", {"request": "x"})}
    found, told, _ = await measured(
        owned, ask, LOOKUP, mode="supervised", models=ScriptedModels([CoreCall("lookup", {"q": "x"})], "It is 42.")
    )
    assert found["read"].passed == 1, told
    twice = {"What is x?": Call("ask", {"request": "x"}, times=2)}
    steps = ([CoreCall("lookup", {"q": "x"})], "It is 42.", "It is 42.")
    found, told, _ = await measured(owned, twice, LOOKUP, mode="supervised", models=ScriptedModels(*steps))
    assert (found["read"].passed, "ask was called twice" in told) == (0, True)
    found, told, _ = await measured(owned, {"What is x?": Say("It is 42.")}, LOOKUP, mode="supervised")
    assert (found["read"].passed, "ask was called not at all" in told) == (0, True)
    assert shop.effects == []
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_the_command_measures_keeps_and_opens(owned, capsys):
    """By the numbers of one run each: the owner asks for little here."""
    little = {"open": dict.fromkeys(("read", "write", "deliverable", "handoff", "none"), 0.15), "scenarios": EVERY}
    owned.team_file.with_name("gate.yaml").write_text(yaml.safe_dump(little))
    async with answering(brain(GOOD)) as (_fake, url):
        here = keyed(owned, url)
        printed = await gate_book.run(here, "realtime", 1, None)
        out = capsys.readouterr().out
        assert "No tool of the business is called" in out
        assert "5/5  passed  thanks" in out
        assert "read         1/1 runs; 1 of 1 scenarios every time (pass^1)" in printed
        assert "realtime open: read tools 1/1, lower bound 0.20 >= 0.15" in printed
        shown = json.loads(await gate_book.show(here, as_json=True))
        assert [(mode["mode"], mode["open"]) for mode in shown["modes"]] == [("realtime", True), ("supervised", False)]


async def test_of_a_run_that_is_broken_off_the_rounds_that_were_whole_are_kept(owned, capsys):
    again = asyncio.Event()
    asked: list[str] = []

    def answer(items: Items) -> list[Say | Call]:
        if "What is x?" in str(items[-1]):
            asked.append("x")
            if len(asked) == 2:
                again.set()
        return brain(GOOD | {"What is x?": Say("It is 42.")})(items)

    async with answering(answer) as (_fake, url):
        here = keyed(owned, url)
        running = asyncio.create_task(gate_book.run(here, "realtime", 10, None))
        await asyncio.wait_for(again.wait(), 60)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert "Broken off after 1 of 10 rounds." in capsys.readouterr().out
        shown = json.loads(await gate_book.show(here, as_json=True))
        counted = {row["class"]: (row["passed"], row["total"]) for row in shown["modes"][0]["classes"]}
        assert (counted["read"], counted["write"]) == ((0, 1), (1, 1))


async def test_without_a_realtime_model_there_is_nothing_to_measure(owned):
    with pytest.raises(SetupError, match="OPENAI_API_KEY"):
        await gate_book.run(owned, "realtime", 1, None)


def asking(items: Items) -> list[Say | Call]:
    """A supervised model: it asks with the customer's words, and says what it is answered."""
    last = items[-1]
    if last["type"] == "function_call_output":
        return [Say(str(last["output"]))]
    text = "".join(part.get("text") or "" for part in last["content"])
    return [Say(text)] if last["role"] == "system" else [Call("ask", {"request": text})]


async def test_the_demos_scenarios_can_be_passed_by_who_asks_the_core(settings):
    names = ("balance", "the only card is locked", "an offer", "a person", "thanks")
    lines: list[str] = []
    async with realtime_server(asking) as (_fake, url):
        here = keyed(settings, url).model_copy(update={"team_file": DEMO_TEAM})
        team = read_team(DEMO_TEAM, {"tools_database": str(here.tools_database)})
        read = gate_scenarios.read_scenarios(gate_scenarios.path(here), team, canned=False)
        few = read.model_copy(update={"scenarios": tuple(s for s in read.scenarios if s.name in names)})
        found = await classes(Stage(here, team, "supervised", DemoModels(0)), few, 1, lines)
    assert all(row.passed == row.total for row in found), "\n".join(lines)
    assert {row.kind for row in found} == set(needed(team, team.agents))


async def test_the_demos_scenarios_can_be_passed_and_leave_the_demos_business_alone(settings, tmp_path):
    """By a realtime model that follows the demo's playbook; its tools are really called, on a copy."""
    lines: list[str] = []
    async with realtime_server(lambda items: playbook.moves(fake, items)) as (fake, url):
        here = keyed(settings, url).model_copy(update={"team_file": DEMO_TEAM})
        team = read_team(DEMO_TEAM, {"tools_database": str(here.tools_database)})
        read = gate_scenarios.read_scenarios(gate_scenarios.path(here), team, canned=False)
        found = await classes(Stage(here, team, "realtime", ScriptedModels()), read, 1, lines)
    assert all(row.passed == row.total for row in found), "\n".join(lines)
    assert {row.kind for row in found} == set(needed(team, team.agents))
    assert judge("realtime", "m", found, ["write"]).open is False  # eight runs prove little
    assert not here.tools_database.exists()
