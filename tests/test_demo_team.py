"""What the demo's team promises its customers: who may do what, what needs a yes, and what is not taken as input."""

from __future__ import annotations

import mcp
import pytest

from agent_core import wording
from agent_core.deliverables import DELIVERABLES
from agent_core.gateway import title
from agent_core.settings import DEMO_TEAM
from agent_core.team import read_team
from tools.telecom.server import create_server

TEAM = read_team(DEMO_TEAM, {"tools_database": "unused"})

CARDS = [
    "4111111111111111",
    "it is 4111 1111 1111 1111, thanks",
    "5500-0000-0000-0004",
    "6011.0009.9013.9424",
    "4111\u00a01111\u00a01111\u00a01111",
    "4111\u20131111\u20131111\u20131111",
    "378282246310005",
    "(3782 822463 10005)",
    "2223003122003222",
    "4222222222222",
    "6304000000000000000",
    "exp 12/27 4111 1111 1111 1111 123",
    "٤١١١ ١١١١ ١١١١ ١١١١",
]
HARMLESS = [
    "C-1001",
    "customer C-1001, 1988-04-12, 10969",
    "2001-04-12 10969",
    "12.04.1988 10969",
    "SIM-1004-2",
    "OR-6001 OR-6002 OR-6003 OR-6004",
    "OF-1001",
    "IN-1001-2610",
    "TK-101",
    "P1-4410-7782",
    "kb-esim-setup",
    "2939 1440",
    "+4917139200401",
    "+49 171 3920 0401",
    "0049 171 39200401",
    "0049 1713 9200 401",
    "004917139200401",
    "4917139200401",
    "0171 3920 0401",
    "017139200401",
    "DE89 3704 0044 0532 0130 00",
    "DE89370400440532013000",
    "IMEI 356938035643809",
    "ICCID 8949020000012345678",
    "1763650800000",
    "5912345678901234567890",
]


@pytest.fixture
async def offered(tmp_path):
    """The tools of the business, by name."""
    async with mcp.Client(create_server(tmp_path / "telecom.db")) as client:
        return {tool.name: tool for tool in (await client.list_tools()).tools}


async def test_agents_have_exactly_the_tools_of_the_business(offered):
    assert {name for agent in TEAM.agents for name in agent.tools} == set(offered)


async def test_every_rule_is_about_a_tool_and_about_arguments_that_it_has(offered):
    assert set(TEAM.tools) == set(offered)
    for name, rule in TEAM.tools.items():
        known = offered[name].input_schema.get("properties", {})
        assert {*rule.editable, *([rule.of] if rule.of else [])} <= set(known), name


@pytest.mark.parametrize("language", TEAM.language.allowed)
async def test_a_customer_who_is_asked_for_a_yes_reads_no_name_and_no_code(offered, language):
    for name, rule in TEAM.tools.items():
        if not rule.approval:
            continue
        known = offered[name].input_schema["properties"]
        assert list(wording.astray(rule, known)) == []
        assert set(wording.labels(rule, language)) == set(known), name
        for argument, schema in known.items():
            for code in schema.get("enum", ()):
                assert rule.values[argument][code].get(language), (name, code)


def test_what_covers_an_order_and_what_agents_show_are_deliverables():
    shown = {name for agent in TEAM.agents for name in agent.deliverables}
    assert shown == set(DELIVERABLES)
    assert {rule.covered_by for rule in TEAM.tools.values()} - {None} <= shown


async def test_what_destroys_something_needs_a_yes(offered):
    destructive = {name for name, tool in offered.items() if tool.annotations and tool.annotations.destructive_hint}
    assert destructive
    for name in destructive:
        assert TEAM.rule(name).approval, name


def test_these_and_no_others_need_a_yes():
    assert {name for name, rule in TEAM.tools.items() if rule.approval} == {
        "lock_sim",
        "unlock_sim",
        "update_contact",
        "place_order",
        "cancel_order",
        "send_summary_email",
    }


async def test_what_may_be_run_again_reads_or_honours_the_key(offered):
    for name, tool in offered.items():
        reads = tool.annotations is not None and tool.annotations.read_only_hint
        honours = (tool.meta or {}).get("parley/idempotency-key") is True
        assert TEAM.rule(name).idempotent == bool(reads or honours), name


@pytest.mark.parametrize("language", TEAM.language.allowed)
async def test_titles_fill_in_from_what_a_call_must_have(offered, language):
    for name, rule in TEAM.tools.items():
        needed = offered[name].input_schema.get("required") or []
        filled = title(rule, {argument: f"<{argument}>" for argument in needed}, language)
        assert filled, name
        assert name not in filled
    texts = [rule.title[language] for rule in TEAM.tools.values()]
    assert len(set(texts)) == len(texts)


def test_operators_find_whom_the_last_agent_has_called_a_person_for():
    assert TEAM.agents[-1].tools == ("transfer_to_operator",)
    assert TEAM.calling_a_person >= set(TEAM.agents[-1].tools)


def test_every_agent_but_the_last_leads_to_a_person_and_all_can_be_reached():
    reached, ahead = set(), {TEAM.start}
    while ahead:
        name = ahead.pop()
        reached.add(name)
        ahead |= set(TEAM.agent(name).handoffs) - reached
    assert reached == {agent.name for agent in TEAM.agents}
    assert all("human" in agent.handoffs for agent in TEAM.agents if agent.name != "human")


@pytest.mark.parametrize("text", CARDS)
def test_a_card_number_is_refused_whoever_has_the_floor(text):
    for agent in TEAM.agents:
        assert _refused(agent, text), agent.name


@pytest.mark.parametrize("text", HARMLESS)
def test_numbers_that_customers_need_to_send_are_taken(text):
    assert not _refused(TEAM.agent(TEAM.start), text)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", ["4" * 16_000, "4111 " * 3_200, "4111-" * 3_200, " " * 16_000])
def test_a_long_message_is_read_at_once(text, caplog):
    _refused(TEAM.agent(TEAM.start), text)
    assert "takes too long" not in caplog.text


def _refused(agent, text):
    return any(rule.trips(text) for rule in agent.guardrails)


def test_what_a_guardrail_says_is_there_in_every_language_of_the_team() -> None:
    for agent in TEAM.agents:
        for guardrail in agent.guardrails:
            assert len({guardrail.said(language) for language in TEAM.language.allowed}) == len(TEAM.language.allowed)
