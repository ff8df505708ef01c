"""The demo's team holds together with its tools; its model sees what a model sees, and says what it is."""

from __future__ import annotations

import asyncio
import json
import time

import mcp
import pytest
import yaml
from agents import FunctionTool

from agent_core import open_core
from agent_core.demo.script import LANGUAGE, Call, Say, covered, decide
from agent_core.demo_model import DemoModel
from agent_core.door import Principal
from agent_core.events import TextDelta, TurnFinished
from agent_core.gateway import title
from agent_core.settings import DEMO_TEAM
from agent_core.site import customer_subject
from agent_core.team import read_team
from tests.conftest import ANA, Watch
from tools.telecom.server import create_server

TEAM = read_team(DEMO_TEAM, {"tools_database": "unused"})
STARTERS = yaml.safe_load(DEMO_TEAM.with_name("site.yaml").read_text("utf-8"))["starters"]
GREETER = [*TEAM.agent("greeter").tools, *TEAM.agent("greeter").deliverables]


def said(text, language="English", tools=GREETER, handoffs=("data_collection", "human")):
    return decide(f"Help.\n\nWrite in {language}, whatever.", [{"role": "user", "content": text}], tools, handoffs)


@pytest.fixture
async def offered(tmp_path):
    """The tools of the business, by name."""
    async with mcp.Client(create_server(tmp_path / "telecom.db")) as client:
        return {tool.name: tool for tool in (await client.list_tools()).tools}


async def test_every_tool_of_the_business_has_an_agent_and_every_agents_tool_exists(offered):
    assert {name for agent in TEAM.agents for name in agent.tools} == set(offered)
    assert set(TEAM.tools) == set(offered)


async def test_what_can_not_be_taken_back_needs_a_yes(offered):
    destructive = {n for n, tool in offered.items() if tool.annotations and tool.annotations.destructive_hint}
    assert destructive <= {name for name, rule in TEAM.tools.items() if rule.approval}


async def test_every_tool_says_in_five_languages_what_it_does(offered):
    for name, rule in TEAM.tools.items():
        arguments = dict.fromkeys(offered[name].input_schema.get("properties", {}), "x")
        for language in TEAM.language.allowed:
            assert title(rule, arguments, language), (name, language)
        assert set(rule.title) == set(TEAM.language.allowed)


@pytest.mark.parametrize(
    "text",
    ["4111 1111 1111 1111", "it is 4111-1111-1111-1111", "5500000000000004", "378282246310005", "3782 822463 10005"],
)
def test_a_card_number_is_recognized(text):
    assert _guarded(text)


@pytest.mark.parametrize(
    "text",
    [
        "C-1001",
        "SIM-1004-2",
        "+4917139200404",
        "1984-01-30 80802",
        "OR-5010",
        "1988-04-12 10969",
        "0171 39200404",
        "59.50",
    ],
)
def test_other_numbers_are_not(text):
    assert not _guarded(text)


def _guarded(text):
    return any(guardrail.trips(text) for guardrail in TEAM.agent("greeter").guardrails)


@pytest.mark.parametrize(
    ("language", "greeting", "words"),
    [
        ("English", "Hello", "not a language model"),
        ("German", "Guten Tag", "kein Sprachmodell"),
        ("Spanish", "Hola", "no un modelo de lenguaje"),
        ("French", "Bonjour", "pas un modèle de langue"),
        ("Arabic", "مرحبا", "وليس نموذجا لغويا"),
    ],
)
def test_it_says_first_that_it_is_a_demo(language, greeting, words):
    (move,) = said(greeting, language)
    assert isinstance(move, Say)
    assert words in move.text


@pytest.mark.parametrize(
    ("text", "tool"),
    [
        ("Show me your plans", "search_plans"),
        ("Welche Tarife gibt es?", "search_plans"),
        ("¿Qué tarifas hay?", "search_plans"),
        ("Quels forfaits avez-vous ?", "search_plans"),
        ("ما هي الباقات", "search_plans"),
        ("compare two plans", "compare_plans"),
        ("How does roaming work?", "search_knowledge"),
        ("which phones are there", "list_products"),
        ("a checklist please", "displayChecklist"),
        ("my balance", "transfer_to_data_collection"),
        ("ich habe mein handy verloren", "transfer_to_data_collection"),
        ("quiero hablar con una persona", "transfer_to_human"),
        ('!tool search_plans {"query": "x"}', "search_plans"),
        ("gibberish qwertz", "displayChoices"),
    ],
)
def test_it_understands(text, tool):
    (move,) = said(text)
    assert isinstance(move, Call)
    assert move.tool == tool


@pytest.mark.parametrize(
    "text",
    [
        "!tool x" + " " * 16_000 + "y",
        "!tool x {" * 1800,
        "C-" * 8000,
        "a " * 8000,
        "use the client tool" + " " * 16_000,
    ],
)
def test_the_longest_messages_hold_nobody_up(text):
    items = [{"role": "user", "content": text}] * 10
    began = time.process_time()
    decide("Help.\n\nWrite in English.", items, GREETER, ("human",))
    assert time.process_time() - began < 1.0  # it took 2 to 18 seconds


async def test_a_developers_order_for_a_tool_that_is_nowhere_names_those_that_are(settings):
    async with open_core(settings.model_copy(update={"team_file": DEMO_TEAM})) as door:
        conversation = await door.start(ANA)
        receipt = await door.say(ANA, conversation, "!tool nosuch {}", client_message_id="1")
        watch = Watch(door, ANA, conversation)
        assert (await watch.event(TurnFinished, turn=receipt.turn)).status == "done"
        assert "`nosuch` is not on offer here. On offer: " in watch.text
        assert "`get_balance`" in watch.text
        await watch.aclose()


def test_a_developer_finds_their_way_round_a_team_of_their_own():
    (move,) = said("!tool pay {}", tools=["look_up"], handoffs=["workshop"])
    assert move.text.endswith("On offer: `look_up`, `transfer_to_workshop`.")
    assert (
        said("!tool transfer_to_workshop", tools=["look_up"], handoffs=["workshop"])[0].tool == "transfer_to_workshop"
    )


def test_what_it_does_not_understand_it_says():
    (move,) = said("gibberish qwertz", tools=["search_plans"])
    assert "did not understand" in move.text


HOTEL = ["find_rooms", "cancel_booking", "displayChoices"]


@pytest.mark.parametrize("language", list(LANGUAGE))
def test_for_a_team_of_ones_own_it_speaks_for_no_company_and_names_what_can_be_ordered(language):
    for words in ("Hello", "I lost my phone", "a room, please", "Ich möchte mit einem Menschen sprechen"):
        (move,) = said(words, language, tools=HOTEL, handoffs=("complaint", "human"))
        assert "obalt" not in move.text
        assert "كوبالت" not in move.text
        assert "`!tool NAME" in move.text
        assert "`cancel_booking`, `displayChoices`, `find_rooms`, `transfer_to_complaint`" in move.text
    assert len({said("Hello", one, tools=HOTEL)[0].text for one in LANGUAGE}) == len(LANGUAGE)


def test_for_a_team_of_ones_own_it_is_not_sent_about_for_a_tool_that_is_not_on_offer():
    (move,) = said("!tool call_colleague {}", tools=HOTEL, handoffs=("greeter", "complaint"))
    assert "`call_colleague` is not on offer here" in move.text
    assert said("!tool find_rooms {}", tools=HOTEL) == [Call("find_rooms", {})]


def test_an_agent_of_the_demo_whose_tools_are_all_out_of_order_is_still_one_of_the_demos():
    (move,) = said("I want a person", tools=["displayChoices"])
    assert move == Call("transfer_to_human", {})


def test_it_repeats_what_a_failed_tool_said():
    items = [
        {"role": "user", "content": "Show me your plans"},
        {"type": "function_call", "call_id": "1", "name": "search_plans", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "The catalogue is closed."},
    ]
    (move,) = decide("Write in English.", items, GREETER, ())
    assert "The catalogue is closed." in move.text


def test_the_analyst_names_topics_of_its_list_alone():
    instructions = "Read.\n\nTopics:\n- customer identified\n- offer made"
    assert covered("Customer: I am C-1001", instructions) == ["customer identified"]
    assert covered("Agent: Here is your offer", instructions) == ["customer identified", "offer made"]
    assert covered("Agent: Your number is in the mail of C-1001", instructions) == []


async def test_words_go_out_one_by_one_and_calls_have_ids_of_their_own():
    words = []
    model = DemoModel(words.append)
    tool = FunctionTool("search_plans", "", {"type": "object"}, None)  # type: ignore[arg-type]
    ids = set()
    for _ in range(3):
        answer = await model.get_response("Write in English.", "Show me your plans", None, [tool], None, [])
        ids.add(answer.output[0].call_id)
    assert len(ids) == 3
    answer = await model.get_response("Write in English.", "thanks", None, [], None, [])
    assert "".join(words) == answer.output[0].content[0].text
    assert len(words) > 10
    assert answer.usage.output_tokens > 0


async def test_the_demo_streams_through_the_whole_core(settings):
    async with open_core(settings.model_copy(update={"team_file": DEMO_TEAM, "demo_pace_ms": 1})) as door:
        conversation = await door.start(ANA)
        receipt = await door.say(ANA, conversation, "tell me a long story", client_message_id="1")
        watch = Watch(door, ANA, conversation)
        await watch.event(TurnFinished, turn=receipt.turn)
        assert sum(isinstance(item, TextDelta) for item in watch.seen) > 20
        snapshot = await door.snapshot(ANA, conversation)
        assert snapshot["items"][-1]["text"] == watch.text
        assert json.dumps(snapshot)
        await watch.aclose()


async def test_a_customer_who_is_signed_in_is_asked_neither_for_a_number_nor_for_proof(settings):
    mira = Principal("customer", customer_subject(ANA.site, "C-1001"), ANA.site)
    async with open_core(settings.model_copy(update={"team_file": DEMO_TEAM})) as door:
        conversation = await door.start(mira)
        for place, (wish, answer) in enumerate([("my balance", "Your balance:"), ("list my orders", "Your orders,")]):
            receipt = await door.say(mira, conversation, wish, client_message_id=str(place))
            async with asyncio.timeout(20):
                watch = Watch(door, mira, conversation)
                await watch.event(TurnFinished, turn=receipt.turn)
                await watch.aclose()
            snapshot = await door.snapshot(mira, conversation)
            assert answer in snapshot["items"][-1]["text"]
            assert not [item for item in snapshot["items"] if item["kind"] == "deliverable"]


def test_a_number_that_was_corrected_is_looked_up_again():
    items = [
        {"role": "user", "content": "My balance. I am C-9999"},
        {"type": "function_call", "call_id": "1", "name": "find_customer", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": '{"found":false}'},
        {"role": "assistant", "content": "I find nobody with the number C-9999. Could you check it?"},
    ]
    (move,) = decide("Write in English.", items[:3], ["find_customer"], ())
    assert "nobody with the number C-9999" in move.text
    corrected = [*items, {"role": "user", "content": "Oh, C-1001"}]
    (move,) = decide("Write in English.", corrected, ["find_customer"], ())
    assert move == Call("find_customer", {"customer_number": "C-1001"})


@pytest.mark.parametrize(
    ("language", "prompt"),
    [(language, prompt) for language, prompts in STARTERS.items() for prompt in prompts],
)
def test_what_the_widget_suggests_to_say_is_understood(language, prompt):
    spoken = next(name for name, code in LANGUAGE.items() if code == language)
    assert said(prompt, spoken)[0] != said("blah", spoken)[0]
