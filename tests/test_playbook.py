"""The demo understands what its own page and its own answers let a customer say."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from agent_core.demo.script import Call, Move, covered, decide
from agent_core.settings import DEMO_TEAM
from agent_core.team import read_team

TEAM = read_team(DEMO_TEAM, {"tools_database": "unused"})
GREETER = [*TEAM.agent("greeter").tools, *TEAM.agent("greeter").deliverables]
ROOM = DEMO_TEAM.parents[2]
PLANS = yaml.safe_load((ROOM / "tools/telecom/data/plans.yaml").read_text("utf-8"))
SAYS = re.findall(r'data-say="([^"]+)"', (ROOM / "web/templates/demo.html").read_text("utf-8"))


def said(text: str) -> Move:
    """What the first agent does with it."""
    items = [{"role": "user", "content": text}]
    return decide("Write in English.", items, GREETER, ("data_collection", "human"))[0]


@pytest.mark.parametrize("prompt", sorted({says for says in SAYS if "{{" not in says}))
def test_what_the_buttons_of_the_demos_page_say_is_understood(prompt: str) -> None:
    assert said(prompt) != said("blah")


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan["plan_id"])
def test_a_plan_is_known_by_its_name(plan: dict[str, str]) -> None:
    asked = {says.replace("{{ plan.name }}", plan["name"]) for says in SAYS if "{{ plan.name }}" in says}
    assert [said(prompt) for prompt in asked] == [Call("get_plan", {"plan_id": plan["plan_id"]})]
    proof = {"customer_number": "C-1001", "verified": True}
    for words in (plan["name"], plan["plan_id"], f"I'd like {plan['name']}, please!"):
        items = [
            {"role": "user", "content": "I am C-1001"},
            {"type": "function_call", "call_id": "1", "name": "verify_customer", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "1", "output": json.dumps(proof)},
            {"role": "assistant", "content": "Name one, and I make you an offer."},
            {"role": "user", "content": words},
        ]
        (move,) = decide("Write in English.", items, ["create_offer"], ())
        assert move == Call("create_offer", {"customer_number": "C-1001", "plan_id": plan["plan_id"]})


@pytest.mark.parametrize(
    "words",
    [
        "Please change my e-mail to {}",
        "Meine neue E-Mail ist {}",
        "Quiero cambiar mi correo a {}",
        "Je veux changer mon e-mail pour {}",
        "غير بريدي الإلكتروني إلى {}",
    ],
)
def test_another_address_is_no_other_plan(words: str) -> None:
    proof = {"customer_number": "C-1001", "verified": True}
    items = [
        {"role": "user", "content": "I am C-1001"},
        {"type": "function_call", "call_id": "1", "name": "verify_customer", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": json.dumps(proof)},
        {"role": "assistant", "content": "What can I do for you?"},
        {"role": "user", "content": words.format("mira@new.example")},
    ]
    (move,) = decide("Write in English.", items, ["create_offer", "update_contact"], ())
    arguments = {"customer_number": "C-1001", "field": "email", "value": "mira@new.example"}
    assert move == Call("update_contact", arguments)


def test_a_customer_is_identified_by_their_own_words_and_not_by_an_example():
    known = "Topics:\n- customer identified"
    assert covered("Agent: What is your customer number? It looks like C-1001.", known) == []
    assert covered("Agent: It looks like C-1001.\nCustomer: c-1004, I think", known) == ["customer identified"]
    assert covered("Agent: Thank you. To be sure it is you: your date of birth", known) == ["customer identified"]
