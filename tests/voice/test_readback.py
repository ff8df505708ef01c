"""Exact values are read out, and only a plain yes is a yes."""

from __future__ import annotations

import json

import pytest

from agent_core.events import InterruptOpened
from voice import readback
from voice.readback import on_screen, verdict


def read_back(title: str | None, tool: str, arguments: str, language: str, **words: dict[str, str]) -> str | None:
    return readback.read_back(
        InterruptOpened("int_1", "turn_1", "call_1", tool, arguments, "", "ana", 0, title=title, **words), language
    )


def test_the_customer_hears_the_words_that_they_would_read():
    arguments = json.dumps({"sim_id": "SIM-89", "reason": "customer_request", "fee": 500})
    words = {
        "labels": {"sim_id": "SIM-Karte", "reason": "Grund"},
        "shown": {"reason": "Auf Ihren Wunsch", "fee": "5,00 €"},
    }
    text = read_back("SIM-Karte SIM-89 sperren", "lock_sim", arguments, "de", **words)
    spelled = "SIM-Karte S, I, M, Strich, 8, 9 sperren"
    assert str(text).startswith(f"{spelled}. Grund: Auf Ihren Wunsch. fee: 5,00 €. Soll ich das tun?")
    text = read_back(None, "lock_sim", arguments, "de", **words)
    assert "SIM-Karte: S, I, M, Strich, 8, 9. Grund: Auf Ihren Wunsch." in str(text)


def test_digits_are_said_one_by_one():
    text = read_back("Locking card {card}", "lock", json.dumps({"card": 49152}), "en")
    assert text is not None
    assert "card: 4, 9, 1, 5, 2" in text
    assert text.endswith("Please say yes or no.")


def test_an_address_is_spelled():
    text = read_back("Change your email", "update_contact", json.dumps({"value": "ana@b-1.org"}), "en")
    assert "a, n, a, at, b, dash, 1, dot, o, r, g" in str(text)


def test_a_value_in_the_title_is_spelled_there_and_not_said_twice():
    text = read_back("Lock the SIM card SIM-89", "lock_sim", json.dumps({"sim_id": "SIM-89", "customer": "C7"}), "en")
    assert text == ("Lock the SIM card S, I, M, dash, 8, 9. customer: C, 7. Shall I do that? Please say yes or no.")


def test_a_title_does_not_hide_a_value_that_it_only_contains():
    text = read_back("Pay 100 now", "pay", json.dumps({"amount": 10}), "en")
    assert "amount: 1, 0." in str(text)


@pytest.mark.parametrize("arguments", [{"body": "word " * 200}, {"items": [1, 2]}, {"to": {"name": "Ana"}}])
def test_what_can_not_be_read_out_is_for_the_screen(arguments):
    assert read_back("Send it", "send", json.dumps(arguments), "en") is None
    assert "screen" in on_screen("en")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Yes.", "en"), ("yes, please", "en"), ("Yeah, that's right!", "en"), ("Okay, do it.", "en"), ("Ja, genau.", "de"),
        ("Sí, claro", "es"), ("Oui, c’est exact.", "fr"), ("نعم", "ar"), ("Yes.", "de"),
    ],
)  # fmt: skip
def test_a_yes(text, language):
    assert verdict(text, language) == "yes"


@pytest.mark.parametrize(
    ("text", "language"),
    [("No.", "en"), ("No, thank you!", "en"), ("Nein, danke.", "de"), ("Non merci", "fr"), ("لا", "ar"), ("no", "de")],
)
def test_a_no(text, language):
    assert verdict(text, language) == "no"


@pytest.mark.parametrize(
    "text",
    [
        "Yes, but change the number to five.", "yes or no", "Please say yes or no.", "Did you say yes?", "", "   ", "Please.",
        "Yesterday.", "I know.", "Not really sure, yes and no.", "maybe", "He said yes.", "yes no", "no yes", "да",
    ],
)  # fmt: skip
def test_neither_yes_nor_no(text):
    assert verdict(text, "en") is None
