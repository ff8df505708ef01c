"""The question before a sensitive call, in the customer's words: what arguments are called, and how their values read."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from agent_core import snapshot, wording
from agent_core.errors import SetupError
from agent_core.events import InterruptDecided, InterruptOpened, Logged, ToolFinished, TurnFinished, from_json, to_json
from agent_core.settings import Settings
from agent_core.team import ToolRule, team_in_file
from app.agui_shapes import interrupt
from app.doctor import examine
from app.repl.printer import asks
from tests.conftest import ANA, OpenCore
from tests.owner import at, changed
from tests.scripted import Call

RULE = ToolRule.model_validate(
    {
        "approval": True,
        "editable": ["note"],
        "labels": {"card": {"en": "Card", "de": "Karte"}, "note": "Memo"},
        "values": {"card": {"A-1": {"en": "The red one", "de": "Die rote"}}, "note": {"lost": "Gone"}},
        "money": {"fee": "currency", "deposit": "EUR"},
    }
)
#: Of the tests' shop, as in a team file.
LOCK = {"approval": True, "editable": ["note"], "labels": dict(RULE.labels), "values": {"card": RULE.values["card"]}}


@pytest.mark.parametrize(
    ("language", "labels"),
    [
        ("de", {"card": "Karte", "note": "Memo"}),
        ("en", {"card": "Card", "note": "Memo"}),
        ("fr", {"card": "Card", "note": "Memo"}),
    ],
)
def test_an_argument_is_called_in_the_customers_language_or_else_in_english(
    language: str, labels: dict[str, str]
) -> None:
    assert wording.labels(RULE, language) == labels


def test_what_nobody_has_a_word_for_is_left_to_those_who_show_it() -> None:
    assert wording.labels(ToolRule(labels={"card": {"de": "Karte"}}), "fr") is None
    assert wording.shown(RULE, {"card": "B-2", "other": "A-1"}, "en") is None


def test_amounts_read_as_money_and_codes_as_words_but_for_what_the_customer_may_change() -> None:
    arguments = {"card": "A-1", "note": "lost", "fee": 123450, "currency": "USD", "deposit": -5}
    assert wording.shown(RULE, arguments, "de") == {
        "card": "Die rote",
        "fee": "1.234,50\u00a0$",
        "deposit": "-0,05\u00a0€",
    }


@pytest.mark.parametrize("fee", [True, 12.5, "12", None])
def test_what_is_no_amount_is_shown_as_it_is(fee: Any) -> None:
    assert wording.shown(RULE, {"fee": fee, "currency": "USD"}, "en") is None
    assert wording.shown(RULE, {"fee": 12, "currency": "Taler"}, "en") is None
    assert wording.shown(RULE, {"fee": 12, "currency": ["USD"]}, "en") is None


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (
            {"labels": {"card": {"gr": "Κάρτα"}}},
            "tools.lock.labels.card: there is no language 'gr'; this team speaks en, de",
        ),
        ({"values": {"card": {"A": {"eng": "a"}}}}, "tools.lock.values.card.A: there is no language 'eng'"),
        ({"labels": {"card": 7}}, "tools.lock.labels.card: must be a text, or a text for each language"),
        ({"labels": {"card": {"en": " "}}}, "tools.lock.labels.card: must be a text, or"),
        ({"labels": {"card": {}}}, "tools.lock.labels.card: must be a text, or"),
        ({"labels": {"card": "\ud83d"}}, "tools.lock.labels.card: must be a text, or"),
        ({"labels": {"card": {False: "Nei"}}}, "tools.lock.labels.card: must be a text, or"),
    ],
)
def test_a_text_that_nobody_could_read_is_refused_with_its_place(
    settings: Settings, rule: dict[str, Any], told: str
) -> None:
    with pytest.raises(SetupError) as refused:
        team_in_file(at(settings, changed(settings, tools={"lock": rule})))
    assert told in str(refused.value)


def test_a_team_may_have_texts_in_more_languages_than_it_speaks(settings: Settings) -> None:
    team = {"language": {"allowed": ["de"]}, "tools": {"lock": LOCK}}
    assert team_in_file(at(settings, changed(settings, **team))).tools["lock"].labels == RULE.labels


def of(settings: Settings, **rule: Any) -> dict[str, Any]:
    return {"team_file": changed(settings, tools={"lock": LOCK | rule})}


async def test_the_words_come_with_the_question_and_the_decision_goes_by_the_names(
    core: OpenCore, watching: Any, shop: Any, settings: Settings
) -> None:
    async with core([Call("lock", {"card": "A-1", "note": "x"})], "Gesperrt.", **of(settings)) as door:
        conversation = await door.start(ANA)
        watch = watching(door, ANA, conversation)
        text = "Bitte sperren Sie meine Karte, ich habe sie verloren."
        await door.say(ANA, conversation, text, client_message_id="1")
        asked = await watch.event(InterruptOpened)
        words = {"labels": {"card": "Karte", "note": "Memo"}, "shown": {"card": "Die rote"}}
        assert {"labels": asked.labels, "shown": asked.shown} == words
        seen = await door.snapshot(ANA, conversation)
        (item,) = (item for item in seen["items"] if item["kind"] == "interrupt")
        assert {name: item[name] for name in words} == words
        assert words.items() <= interrupt({**item, "interrupt": item["id"]})["metadata"].items()
        await door.decide(ANA, conversation, asked.interrupt, "approve", arguments={"card": "A-1", "note": "y"})
        await watch.event(ToolFinished, status="ok")
        await watch.event(TurnFinished)
    assert [effect[1] for effect in shop.effects] == [{"card": "A-1", "note": "y"}]
    assert json.loads((await watch.event(InterruptDecided)).arguments) == {"card": "A-1", "note": "y"}


def test_a_question_of_an_older_parley_is_read_as_before() -> None:
    stored = '{"interrupt":"int_1","turn":"t","call":"c","tool":"lock","arguments":"{}","hash":"h","subject":"s","expires_at":1}'
    asked = from_json(InterruptOpened.type, stored)
    assert to_json(asked) == stored
    item = snapshot.fold(snapshot.empty("conv_1"), Logged(1, 1, asked))["items"][0]
    assert not {"labels", "shown"} & set(item)
    assert not {"labels", "shown"} & set(interrupt({**item, "interrupt": "int_1"})["metadata"])


async def test_words_for_an_argument_that_the_tool_does_not_have_are_told_at_the_start_and_by_the_doctor(
    core: OpenCore, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = of(settings, labels={"crad": "Card"}, money={"note": "Taler"})
    told = [
        "tools.lock.labels.crad: the tool has no argument 'crad'; there are card, note",
        "tools.lock.money.note: 'Taler' is neither an argument nor a currency",
    ]
    with caplog.at_level(logging.ERROR, "parley.core"):
        async with core(**wrong):
            pass
    assert [record.getMessage() for record in caplog.records] == [f"team shop: {words}" for words in told]
    findings = [finding async for finding in examine({}, settings.model_copy(update=wrong))]
    assert [(f.level, f.text) for f in findings if f.text.startswith("tools.lock")] == [("warning", w) for w in told]


def drawn(asked: InterruptOpened) -> str:
    out = io.StringIO()
    Console(file=out, width=100).print(asks(asked))
    return out.getvalue()


def test_the_terminal_shows_the_exact_values_and_what_the_customer_reads() -> None:
    opened = InterruptOpened("int_1", "t", "c", "lock", '{"card":"A-1","note":"x"}', "h", "s", 1)
    assert "(" not in drawn(opened)
    told = replace(opened, labels={"card": "Karte"}, shown={"card": "Die rote"})
    assert "card: A-1  (Karte: Die rote)" in drawn(told)


async def test_a_rule_for_a_tool_that_no_server_has_is_told_at_the_start_and_by_the_doctor(
    core: OpenCore, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    tools = {"lokc": {"approval": True}, "shop__lock": {"approval": True}, "displayAlert": {}}
    file = changed(settings, tools=tools)
    with caplog.at_level(logging.ERROR, "parley.core"):
        async with core(team_file=file):
            pass
    told = "tools.lokc: no server has a tool of this name, so its rule does nothing; did you mean lock?"
    assert [record.getMessage() for record in caplog.records] == [f"team shop: {told}"]
    found = [finding async for finding in examine({}, at(settings, file)) if finding.subject == "team"]
    assert [finding.text for finding in found if finding.level == "warning"] == [told]


async def test_while_a_server_is_away_no_rule_is_said_to_be_for_nothing(
    core: OpenCore, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    servers = [{"name": "shop", "python": "tests.shop:create_server"}, {"name": "far", "command": ["no-such-program"]}]
    file = changed(settings, tools={"far_away": {"approval": True}}, servers=servers)
    with caplog.at_level(logging.ERROR, "parley.core"):
        async with core(team_file=file):
            pass
    assert caplog.records == []
