"""The gate of voice: what the numbers say, which modes follow from them, and that calls themselves count, too."""

from __future__ import annotations

import json

import pytest
import yaml

from agent_core import gate, gate_rows, gate_scenarios, log
from agent_core.door import Principal
from agent_core.errors import NotFound, Overloaded, SetupError
from agent_core.gate import CLASSES, DEMANDS, FAILURES, LIVE, WINDOW, Demand, Measured, wilson
from agent_core.settings import DEMO_TEAM
from agent_core.team import Team, read_team
from agent_core.voice_gate import subject
from app import gate_book
from app.voice_findings import voice
from tests.conftest import ANA, BOB, MAYA, each_database
from tests.test_media import pretending, voiced
from tests.wire import serving

WORKER = Principal("service", "voice")
LEAD = "    description: Answers first.\n"


def counted(kind: str, passed: int, total: int, demand: Demand | None = None) -> Measured:
    return Measured(kind, passed, total, demand or DEMANDS[kind])


def called(*, well: bool) -> Measured:
    return Measured(LIVE, int(well), 1, DEMANDS["none"])


# ---- the numbers


@pytest.mark.parametrize(
    ("passed", "total", "bound"),
    [
        (71, 90, 0.694),
        (0, 0, 0.0),
        (0, 10, 0.0),
        (1, 1, 0.207),
        (10, 10, 0.722),
        (9, 10, 0.596),
        (50, 100, 0.404),
        (73, 73, 0.950),
        (990, 1000, 0.982),
    ],
)
def test_the_lower_bound_is_wilsons(passed, total, bound):
    assert wilson(passed, total) == pytest.approx(bound, abs=0.0006)


def test_without_a_failure_a_class_opens_after_as_many_runs_as_are_promised():
    first = {k: next(n for n in range(1, 200) if wilson(n, n) >= DEMANDS[k].open) for k in CLASSES}
    assert first == {"read": 16, "handoff": 16, "none": 16, "deliverable": 35, "write": 73}


def test_a_verdict_says_why_in_one_line():
    rows = [counted("read", 50, 50), counted("write", 71, 90), counted("none", 30, 30)]
    verdict = gate.judge("realtime", "gpt-realtime", rows, ["read", "write", "none"])
    assert not verdict.open
    assert str(verdict) == "realtime closed: write tools 71/90, lower bound 0.69 < 0.95"
    assert str(gate.judge("realtime", "gpt-realtime", rows, ["read"])) == (
        "realtime open: read tools 50/50, lower bound 0.92 >= 0.8"
    )


def test_what_was_never_measured_is_closed():
    nothing = gate.judge("supervised", "gpt-realtime", [], ["read", "none"])
    assert not nothing.open
    assert str(nothing) == "supervised closed: it was never measured with gpt-realtime and this team"
    some = gate.judge("supervised", "gpt-realtime", [counted("read", 50, 50)], ["read", "none"])
    assert str(some) == "supervised closed: words that need no tool were never measured"


def test_what_is_open_closes_under_a_lower_bound_than_it_opens_above():
    demand = Demand(0.80, 0.60)
    open_ = gate.standing("read", [counted("read", 20, 20, demand), counted("read", 14, 20, demand)])
    assert demand.close < open_.bound < demand.open
    assert open_.open
    never = gate.standing("read", [counted("read", 34, 40, demand)])
    assert never.bound == open_.bound
    assert not never.open
    worse = [counted("read", 20, 20, demand), counted("read", 0, 20, demand), counted("read", 20, 20, demand)]
    assert not gate.standing("read", worse[:2]).open
    assert not gate.standing("read", worse).open


def test_old_runs_count_no_more():
    rows = [counted("read", 0, WINDOW), counted("read", WINDOW, WINDOW)]
    assert (gate.standing("read", rows).total, gate.standing("read", rows).open) == (WINDOW, True)


def test_calls_in_a_row_that_lose_their_model_close_it_until_it_is_measured_anew():
    measured = counted("read", 30, 30)
    lost = [called(well=False)] * FAILURES
    assert gate.standing("read", [measured, *lost[1:]]).open
    assert gate.standing("read", [measured, *lost[1:], called(well=True), *lost[1:]]).open
    closed = gate.judge("realtime", "gpt-realtime", [measured, *lost], ["read"])
    assert str(closed) == f"realtime closed: {FAILURES} calls in a row lost their model"
    assert not gate.standing("read", [measured, *lost, counted("read", 10, 10)]).open
    assert gate.standing("read", [measured, *lost, counted("read", 30, 30)]).open


# ---- whom it is about


@pytest.fixture
def team(settings) -> Team:
    return read_team(settings.team_file)


def test_the_class_of_a_tool_is_what_the_owners_rules_say_of_it(team):
    demo = read_team(DEMO_TEAM, {"tools_database": "x"})
    assert {gate.kind(demo, tool) for tool in ("get_balance", "search_plans", "find_customer")} == {"read"}
    assert {gate.kind(demo, tool) for tool in ("lock_sim", "cancel_order", "place_order")} == {"write"}
    assert gate.kind(demo, "displayOffer") == "deliverable"
    assert gate.kind(demo, "transfer_to_human") == "handoff"
    assert gate.kind(team, "lookup") == "write"  # nobody says that it is harmless


def test_an_agent_needs_the_classes_of_those_it_can_hand_over_to(team):
    expert = team.agent("expert").model_copy(update={"handoffs": ()})
    assert gate.needed(team, [expert]) == ("write", "none")
    assert gate.needed(team, [team.agent("expert")]) == ("write", "deliverable", "handoff", "none")


def test_another_label_is_no_reason_to_measure_anew_and_other_instructions_are(team):
    renamed = team.model_copy(update={"label": "Another"})
    first = team.agents[0].model_copy(update={"instructions": "You help more."})
    assert gate.told(renamed) == gate.told(team)
    assert gate.told(team.model_copy(update={"agents": (first, *team.agents[1:])})) != gate.told(team)
    rule = team.tools["lock"].model_copy(update={"approval": False})
    assert gate.told(team.model_copy(update={"tools": {**team.tools, "lock": rule}})) != gate.told(team)


# ---- which modes follow


def speaking_in(settings, *modes):
    """The small team, whose lead may be spoken with in these modes."""
    text = settings.team_file.read_text().replace(LEAD, f"{LEAD}    voice: {{modes: [{', '.join(modes)}]}}\n")
    settings.team_file.write_text(text)
    return settings


async def keep(door, settings, *rows, mode="realtime"):
    about = subject(settings, door._shop.team, mode)
    await door._db.write(lambda c: gate_rows.keep(c, about, rows))


GOOD = [counted(kind, 100, 100) for kind in CLASSES]


@each_database
async def test_the_first_mode_is_offered_that_its_numbers_allow(core, settings):
    speaking_in(settings, "realtime", "supervised", "pipeline")
    async with core() as door:
        conversation = await door.start(ANA)

        async def offered():
            asked = await door.voice.ask(ANA, conversation, take_over=True)
            brief = await door.voice.claim(WORKER, asked.session)
            assert brief.mode == asked.mode == brief.modes[0]
            return brief.modes

        assert await offered() == ("pipeline",)
        await keep(door, settings, *GOOD, mode="supervised")
        assert await offered() == ("supervised", "pipeline")
        await keep(door, settings, *[row for row in GOOD if row.kind != "write"], counted("write", 71, 90))
        assert await offered() == ("supervised", "pipeline")
        await keep(door, settings, counted("write", 200, 200))
        assert await offered() == ("realtime", "supervised", "pipeline")


@each_database
async def test_what_was_measured_holds_over_a_restart(core, settings):
    speaking_in(settings, "realtime", "pipeline")
    async with core() as door:
        await keep(door, settings, *GOOD)
    async with core() as door:
        assert await door.voice.modes(WORKER) == ("realtime", "pipeline")
    async with core(voice_realtime_model="another") as door:
        assert await door.voice.modes(WORKER) == ("pipeline",)


async def test_off_is_the_owners_word_for_all_that_the_team_names(core, settings):
    speaking_in(settings, "realtime", "pipeline")
    async with core(voice_gate="off") as door:
        assert await door.voice.modes(WORKER) == ("realtime", "pipeline")
        assert (await door.voice.gate(MAYA))["gate"] == "off"


async def test_calls_without_number_push_no_measurement_out(core, settings):
    speaking_in(settings, "realtime", "pipeline")
    async with core() as door:
        await keep(door, settings, *GOOD)
        one = [Measured(LIVE, n % 2, 1, DEMANDS["none"]) for n in range(gate_rows.KEPT + 1)]
        await keep(door, settings, *one)
        assert await door.voice.modes(WORKER) == ("realtime", "pipeline")


@each_database
async def test_calls_that_lose_their_model_close_the_mode(core, settings):
    speaking_in(settings, "realtime", "pipeline")
    async with core() as door:
        await keep(door, settings, *GOOD)
        conversation = await door.start(ANA)

        async def call(*changes, answer=None):
            asked = await door.voice.ask(ANA, conversation, take_over=True)
            await door.voice.claim(WORKER, asked.session)
            if answer is not None:
                said = await door.voice.hear(WORKER, asked.session, "Hi.", client_message_id=asked.session)
                await door.voice.tell(WORKER, asked.session, said.turn, answer)
            for mode, reason in changes:
                await door.voice.change_mode(WORKER, asked.session, mode, reason=reason)
            return asked.mode

        fallen, left = (("pipeline", "realtime_failed"), ("text", "left")), ("text", "left")
        assert [await call(*fallen), await call(("text", "realtime_failed"))] == ["realtime", "realtime"]
        assert await call(left, answer="Hello.") == "realtime"  # and the failures before it count no more
        assert [await call(*fallen), await call(*fallen)] == ["realtime", "realtime"]
        assert await call(left) == "realtime"  # hung up before a word: it says nothing of the model
        assert await call(*fallen) == "realtime"
        assert await call(left) == "pipeline"
        reason = (await door.voice.gate(MAYA))["modes"][0]["reason"]
        assert reason == f"realtime closed: {FAILURES} calls in a row lost their model"
        await keep(door, settings, *GOOD)
        assert await call() == "realtime"


async def test_where_no_mode_is_left_the_microphone_is_not_offered_and_a_call_is_refused(core, settings):
    speaking_in(settings, "realtime")
    async with pretending() as (_asked, url, worker):
        here = voiced(settings, url, worker)
        async with core() as door, serving(here, door) as served:
            ana = await served.visitor()
            assert (await ana.get("/voice")).json() == {"available": False}
            refused = await ana.post("/voice", {})
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "voice_unavailable")
            await keep(door, settings, *GOOD)
            assert (await ana.get("/voice")).json() == {"available": True}
            assert (await served.http.get("/sites/demo/voice")).json() == {"available": True}
            with pytest.raises(Overloaded):
                await keep(door, settings, *[called(well=False)] * FAILURES)
                await door.voice.ask(Principal("developer", "d"), ana.conversation, take_over=True)


# ---- who is told


async def test_operators_read_what_the_command_prints_and_nobody_else_does(core, settings, capsys):
    speaking_in(settings, "realtime", "pipeline")
    async with core() as door, serving(settings, door) as served:
        await keep(door, settings, counted("write", 71, 90))
        read = (await served.http.get("/operator/gate", headers=served.operator)).json()
        assert read == json.loads(await gate_book.show(settings, as_json=True))
        assert [mode["mode"] for mode in read["modes"]] == ["realtime", "supervised"]
        assert read["agents"][0] == {"agent": "lead", "modes": ["realtime", "pipeline"], "offered": ["pipeline"]}
        shown = await gate_book.show(settings)
        assert "write tools 71/90, lower bound 0.69 < 0.95" in shown
        assert "parley gate run --mode realtime" in shown
        assert (await served.http.get("/operator/gate")).status_code == 404
        with pytest.raises(NotFound):
            await door.voice.gate(BOB)


async def test_the_doctor_says_what_is_closed_and_what_to_run(core, settings):
    speaking_in(settings, "realtime", "pipeline")
    here = voiced(settings, "ws://127.0.0.1:9", "http://127.0.0.1:9")

    async def found(settings):
        return [finding async for finding in voice(settings) if finding.subject == "voice gate"]

    assert await found(here) == []  # before the first start there is nothing to look into
    async with core() as door:
        (closed,) = await found(here)
        assert closed.level == "warning"
        assert "never measured" in closed.text
        assert "parley gate run --mode realtime" in closed.todo
        await keep(door, settings, *GOOD)
        (open_,) = await found(here)
    assert (open_.level, open_.text.partition(":")[0]) == ("ok", "realtime open")
    (off,) = await found(here.model_copy(update={"voice_gate": "off"}))
    assert off.level == "warning"
    assert "PARLEY_VOICE_GATE=off" in off.text


# ---- the scenarios


def written(tmp_path, values):
    path = tmp_path / "gate.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


LOOKUP = {"name": "a look-up", "says": ["What is x?"], "calls": [{"tool": "lookup"}], "results": {"lookup": "x: 42"}}


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"scenarios": []}, "scenarios"),
        ({"scenarios": [{**LOOKUP, "says": []}]}, "says"),
        ({"scenarios": [LOOKUP, LOOKUP]}, "the same name"),
        ({"scenarios": [{**LOOKUP, "agent": "nobody"}]}, "no agent 'nobody'"),
        ({"scenarios": [{**LOOKUP, "calls": [{"tool": "teleport"}]}]}, "no agent has a tool 'teleport'"),
        ({"scenarios": [{**LOOKUP, "results": {}}]}, "lookup is not called in earnest"),
        ({"scenarios": [LOOKUP], "open": {"charm": 0.5}}, "'charm' is no class"),
        ({"scenarios": [LOOKUP], "open": {"read": 0.5}, "close": {"read": 0.6}}, "closes is not above"),
    ],
)
def test_scenarios_that_can_not_be_acted_out_are_refused_with_their_place(tmp_path, team, values, why):
    with pytest.raises(SetupError, match=why):
        gate_scenarios.read_scenarios(written(tmp_path, values), team, canned=True)


def test_an_owner_may_ask_for_more_or_less(tmp_path, team):
    path = written(tmp_path, {"scenarios": [LOOKUP], "open": {"write": 0.99}})
    read = gate_scenarios.read_scenarios(path, team, canned=True)
    assert (read.demand("write").open, read.demand("read")) == (0.99, DEMANDS["read"])
    assert read.demand("write").close == pytest.approx(0.94)
    assert read.scenarios[0].kinds(team) == ("write",)


def test_ten_runs_of_the_demos_scenarios_are_enough_to_open_every_class():
    demo = read_team(DEMO_TEAM, {"tools_database": "x"})
    read = gate_scenarios.read_scenarios(DEMO_TEAM.with_name("gate.yaml"), demo, canned=False)
    for kind in gate.needed(demo, demo.agents):
        runs = 10 * sum(kind in scenario.kinds(demo) for scenario in read.scenarios)
        assert wilson(runs, runs) >= read.demand(kind).open, kind


@each_database
async def test_a_call_that_went_well_is_kept_only_where_it_ends_a_row_of_failures(core, settings):
    async with core() as door:
        about = subject(settings, door._shop.team, "realtime")

        def rows(connection):
            return [row.passed for row in gate_rows.every(connection, about)]

        for well in (True, True, False, True, True, False):
            await door._db.write(lambda c, well=well: gate_rows.called(c, about, well=well))
        assert await door._db.read(rows) == [0, 1, 0]
        assert (await door._db.read(lambda c: gate_rows.every(c, about)))[0].at <= log.now_ms()
