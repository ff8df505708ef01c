"""What is read from the team file alone: the servers, and the secrets that it names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_core.errors import SetupError
from agent_core.events import MessageFinished
from agent_core.pricing import Tokens
from agent_core.settings import Settings
from agent_core.team import Guardrail, team_in_file
from tests.conftest import ANA, OpenCore
from tests.owner import at, changed
from tests.test_readme import README


def of_the_readme(part: str) -> Any:
    """As it says how a server gets its key."""
    (said,) = re.findall(rf"`({part}: {{.*?}}+)`", README)
    return yaml.safe_load(said)


@pytest.mark.parametrize(
    ("part", "held"),
    [
        ({"url": "https://${HOST}/mcp", **of_the_readme("headers")}, "Bearer sesame"),
        ({"command": ["shop"], **of_the_readme("env")}, "sesame"),
        ({"python": "tests.shop:create_server", "options": {"key": "${SHOP_KEY}", "tries": 3}}, "sesame"),
    ],
)
def test_a_servers_secret_is_named_in_the_file_and_comes_from_the_environment(
    settings: Settings, monkeypatch: Any, tmp_path: Path, part: dict[str, Any], held: str
) -> None:
    monkeypatch.chdir(tmp_path)
    here = at(settings, changed(settings, servers=[{"name": "shop", **part}]))
    monkeypatch.setenv("HOST", "shop.example")
    monkeypatch.delenv("SHOP_KEY", raising=False)
    with pytest.raises(SetupError, match=r"\$\{SHOP_KEY\} is not set: put it into the environment or \.env"):
        team_in_file(here)
    Path(".env").write_text("SHOP_KEY=sesame\n")
    server = team_in_file(here).servers[0]
    assert held in (server.headers.get("Authorization"), server.env.get("SHOP_KEY"), server.options.get("key"))
    assert server.url in (None, "https://shop.example/mcp")
    monkeypatch.setenv("SHOP_KEY", "barley")
    assert "barley" in str(team_in_file(here).servers[0])


@pytest.mark.parametrize("servers", [["shop"], [{"name": "shop", "options": None}], "shop"])
def test_a_server_that_is_none_is_told_with_its_place(settings: Settings, servers: Any) -> None:
    with pytest.raises(SetupError, match=r"servers"):
        team_in_file(at(settings, changed(settings, servers=servers)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "team: must be a mapping, such as {name: value}"),
        ("- a", "team: must be a mapping, such as {name: value}"),
        ("name: x\nlabel: X\nstart: a\nagents: {a: {}}", "agents: must be a list, such as [a, b]"),
        ("name: x\nlabel: X\nagents: [{name: a, description: d, instructions: i}]", "start: is missing"),
    ],
)
def test_a_file_that_is_no_team_is_told_so_in_words_of_yaml(settings: Settings, text: str, says: str) -> None:
    settings.team_file.write_text(text)
    with pytest.raises(SetupError, match=re.escape(f"{settings.team_file}: {says}")):
        team_in_file(settings)


@pytest.mark.parametrize(
    ("lead", "changes", "says"),
    [
        ({"handoff": ["expert"]}, {}, "agents.0.handoff: there is no field 'handoff'; did you mean handoffs?"),
        ({"voice": {"voice": "marin"}}, {}, "agents.0.voice.voice: there is no field 'voice'; there are name, speed,"),
        ({}, {"tools": {"voice": {"edit": []}}}, "tools.voice.edit: there is no field 'edit'; did you mean editable?"),
        (
            {"guardrails": [{"nme": "x", "pattern": "x", "aloud": "y"}]},
            {},
            "there is no field 'nme'; did you mean name?",
        ),
        ({}, {"servers": [{"name": "shop", "uri": "x"}]}, "servers.0.uri: there is no field 'uri'; did you mean url?"),
        ({}, {"lables": "x"}, "lables: there is no field 'lables'; did you mean label?"),
        ({"name": "Front Desk"}, {}, "agents.0.name: 'Front Desk' must be small letters, digits and _, a letter first"),
        ({"tools": "lookup"}, {}, "agents.0.tools: must be a list, such as [a, b]"),
        ({}, {"language": ["en", "de"]}, "language: must be a mapping, such as {name: value}"),
        (
            {},
            {"language": {"allowed": ["English"]}},
            "language.allowed.0: 'English' must be a language's code, such as en",
        ),
        ({}, {"tools": {"lock": {"title": {"gr": "Sperren"}}}}, "tools.lock.title: there is no language 'gr'"),
        ({}, {"prices": {"qwen": {"input": 1}}}, "prices.qwen.output: is missing"),
        ({}, {"prices": {"qwen": {"input": "$1", "output": 2}}}, "prices.qwen.input: must be a number"),
        ({}, {"prices": {"qwen": {"input": True, "output": 2}}}, "prices.qwen.input: must be a number"),
        (
            {},
            {"prices": {"qwen": {"input": 1, "output": -2}}},
            "prices.qwen.output: Input should be greater than or equal",
        ),
        ({}, {"prices": {"qwen": {"input": 1, "output": float("inf")}}}, "prices.qwen.output: Input should be"),
        (
            {},
            {"prices": {"qwen": {"input": 1, "out": 2}}},
            "prices.qwen.out: there is no field 'out'; did you mean output?",
        ),
        ({}, {"prices": [{"qwen": 1}]}, "prices: must be a mapping, such as {name: value}"),
    ],
)
def test_a_mistake_in_a_team_is_told_in_its_owners_words(
    settings: Settings, lead: dict[str, Any], changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(SetupError) as told:
        team_in_file(at(settings, changed(settings, lead=lead, **changes)))
    assert says in str(told.value)


GUARDED = {"name": "cards", "pattern": r"\d{16}", "aloud": {"en": "No cards here.", "de": "Hier bitte keine Karten."}}


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("Meine Kartennummer ist übrigens diese: 4111111111111111", "Hier bitte keine Karten."),
        ("Mi número de tarjeta de crédito es este: 4111111111111111", "No cards here."),
    ],
)
async def test_what_a_guardrail_says_is_said_in_the_customers_language(
    core: OpenCore, settings: Settings, watching: Any, words: str, answer: str
) -> None:
    async with core("Never said.", team_file=changed(settings, lead={"guardrails": [GUARDED]})) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, words, client_message_id="1")
        assert (await watching(door, ANA, conversation).event(MessageFinished)).text == answer


def test_a_guardrail_without_english_has_its_first_language_for_the_others() -> None:
    guardrail = Guardrail(name="x", pattern="x", aloud={"de": "Nein.", "fr": "Non."})
    assert [guardrail.said(language) for language in ("fr", "de", "es")] == ["Non.", "Nein.", "Nein."]


@pytest.mark.parametrize("aloud", ["", {}, {"en": ""}, {"gr": "\u038c\u03c7\u03b9"}, 7])
def test_a_guardrail_that_would_say_nothing_is_refused(settings: Settings, aloud: Any) -> None:
    file = changed(settings, lead={"guardrails": [{**GUARDED, "aloud": aloud}]})
    with pytest.raises(SetupError, match=r"agents\.0\.guardrails\.0"):
        team_in_file(at(settings, file))


def test_the_prices_of_the_readme_are_a_teams(settings: Settings) -> None:
    team = team_in_file(at(settings, changed(settings, **of_the_readme("prices"))))
    assert team.prices["my-model"].microdollars(Tokens(1_000_000, 500_000, 100_000)) == 200_000 + 50_000 + 160_000
