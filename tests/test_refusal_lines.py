"""What the system says to a customer itself: in their language, over HTTP, in a turn, and of what they fill in."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Formatter

import pytest

from agent_core.errors import AnswerCut, ModelUnavailable
from agent_core.events import MessageFinished, SettingChanged, TurnFinished
from agent_core.refusal_lines import _LINES, LANGUAGES, Sentence, said_in
from agent_core.settings import Settings
from app.problems import preferred
from tests.conftest import ANA
from tests.scripted import Call, Fail
from tests.test_agui_runs import run, run_input, user
from tests.wire import Visitor, serving

ROOT = Path(__file__).parent.parent
GERMAN = "Guten Tag, ich möchte gern wissen, was mein Vertrag im Monat kostet."
#: What these raise is read by owners, operators and developers alone.
NOT_CUSTOMERS = ("floor", "pin_book", "site", "site_book", "sites", "team", "team_book", "team_desk", "team_editor")
NOT_CUSTOMERS += ("team_rows", "teams", "tool_pins")


# ---- the translations


def test_every_sentence_that_a_customer_can_meet_is_there_in_each_language_and_no_other() -> None:
    met = {sentence for file in _files() for sentence in _sentences(file)}
    untranslated = {sentence for sentence in met if {"en", *_LINES.get(sentence, {})} != set(LANGUAGES)}
    assert not untranslated
    assert not set(_LINES) - met


def test_a_translation_has_the_same_values_and_other_words() -> None:
    for english, lines in _LINES.items():
        for language, line in lines.items():
            assert _holes(line) == _holes(english), (language, line)
            assert line != english


def test_a_sentence_is_said_with_its_values_and_in_english_where_there_is_no_other() -> None:
    most = Sentence("{label} must be at most {most}", label="{n} Personen", most=4)
    assert most == said_in("en", most) == said_in("it", most) == said_in(None, most) == "{n} Personen must be at most 4"
    assert said_in("de", most) == "{n} Personen: Höchstens 4"
    assert said_in("de", "Let's stay polite.") == "Let's stay polite."


def _files() -> Iterator[Path]:
    for file in sorted([*ROOT.glob("agent_core/**/*.py"), *ROOT.glob("app/*.py")]):
        if file.stem not in NOT_CUSTOMERS:
            yield file


def _sentences(file: Path) -> Iterator[str]:
    """What stands where an error gets its words."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    known = {node.targets[0].id: node.value for node in nodes if _names(node)}
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            for value in (value for line in node.body for name, value in _assigned(line) if name == "aloud"):
                yield from _texts(value, known)
        elif isinstance(node, ast.Call):
            for value in _words(node, of_deliverable=file.parent.name == "deliverables"):
                yield from _texts(value, known)


def _words(call: ast.Call, *, of_deliverable: bool) -> Iterator[ast.expr]:
    """The arguments of this call that a customer reads."""
    yield from (keyword.value for keyword in call.keywords if keyword.arg == "aloud")
    match ast.unparse(call.func).rpartition(".")[2], call.args:
        case ("Sentence", [words, *_]) | ("Refused" | "_wrong", [_, words, *_]) | ("refuse_other", [_, _, words]):
            yield words
        case "Invalid", [ast.Constant(value="text"), words]:
            yield words
        case "Invalid", [_, words] if of_deliverable:
            yield words


def _texts(node: ast.expr, known: Mapping[str, ast.expr]) -> Iterator[str]:
    """What an argument may say, through the names that stand for it."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr():
            yield ast.unparse(node)  # no key of any table: values go into a Sentence
        case ast.Name(id=name) if name in known:
            yield from _texts(known[name], known)
        case ast.Subscript(value=ast.Name(id=name)) if isinstance(table := known.get(name), ast.Dict):
            for value in table.values:
                yield from _texts(value, known)


def _names(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)


def _assigned(line: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    match line:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
            yield from ((ast.unparse(name), value) for name, value in zip(names, values, strict=True))


def _holes(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


# ---- over HTTP


@pytest.mark.parametrize(
    ("wishes", "language"),
    [
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en;q=0.5, FR-ca ; q=0.9", "fr"),
        ("it, nl;q=0.9, es;q=0.1", "es"),
        ("ar, de", "ar"),
        ("de;q=0, fr;q=0.001", "fr"),
        ("de;q=0", "en"),
        ("*", "en"),
        ("it", "en"),
        ("", "en"),
        (None, "en"),
        (";;q=,de;q=2,\xff,fr;q=x,es;q=0.3", "es"),
    ],
)
def test_the_language_is_the_one_of_ours_that_is_liked_best(wishes: str | None, language: str) -> None:
    assert preferred(wishes) == language


async def test_a_refusal_speaks_the_language_that_the_request_accepts(core, settings: Settings) -> None:
    async with core([Call("lock", {"card": "7"})], "Locked.") as door, serving(settings, door) as served:
        visitor = await served.visitor()
        async with visitor.watching("0", "?format=parley") as feed:
            await visitor.say("Lock it")
            place = f"/interrupts/{(await feed.until('interrupt.opened'))['interrupt']}"
        assert (await visitor.post(place, {"decision": "approve"})).status_code == 202
        refused = await _post(visitor, place, {"decision": "reject"}, "de-DE,de;q=0.9,en;q=0.8")
        assert refused.json() == {"error": {"code": "conflict", "message": "Das wurde schon bestätigt."}}
        assert refused.headers["content-language"] == "de"
        assert "Accept-Language" in refused.headers["vary"].split(", ")
        plain = await visitor.post(place, {"decision": "reject"})
        assert plain.json()["error"]["message"] == "This was already approved."
        assert plain.headers["content-language"] == "en"


async def test_what_is_wrong_with_a_form_is_said_in_the_language_too(core, settings: Settings) -> None:
    form = {"title": "Rückruf", "fields": [{"name": "people", "label": "Personen", "type": "number", "max": 4}]}
    async with core([Call("displayForm", form)], "Please.") as door, serving(settings, door) as served:
        visitor = await served.visitor()
        async with visitor.watching("0", "?format=parley") as feed:
            await visitor.say("Call me")
            shown = await feed.until("deliverable.shown")
        answer = {"version": 1, "decision": "submit", "answer": {"values": {"people": 9}}}
        refused = await _post(visitor, f"/deliverables/{shown['deliverable']}/decision", answer, "fr")
        assert refused.status_code == 422
        assert refused.json()["error"] == {
            "code": "invalid",
            "message": "Personen : 4 au maximum",
            "field": "values.people",
        }


async def test_a_refusal_for_developers_stays_english(core, settings: Settings) -> None:
    async with core() as door, serving(settings, door) as served:
        visitor = await served.visitor()
        refused = await _post(visitor, "/messages", {"text": "Hi"}, "de")
        assert refused.json()["error"] == {"code": "invalid", "message": "Field required", "field": "client_message_id"}
        assert refused.headers["content-language"] == "en"


async def test_what_no_route_of_ours_has_answered_is_said_in_the_language(core, settings: Settings) -> None:
    async with core() as door, serving(settings, door) as served:
        spanish = {"Accept-Language": "es"}
        nowhere = await served.http.get("/nowhere", headers=spanish)
        assert nowhere.json()["error"]["message"] == "Aquí no existe nada así."
        large = await served.http.post("/conversations", content=b" " * 70_000, headers=spanish)
        assert large.json()["error"]["message"] == "Es demasiado largo: 65536 bytes como máximo"


async def test_an_ag_ui_run_is_refused_in_the_language_of_its_conversation(core, settings: Settings) -> None:
    steps = [Call("lock", {"card": "1"}), Call("lock", {"card": "2"})]
    async with core(steps) as door, serving(settings, door) as served:
        visitor = await served.visitor()
        waiting = (await run(visitor, run_input(user("1", GERMAN))))[-1]["outcome"]["interrupts"]
        answer = {"interruptId": waiting[0]["id"], "status": "resolved", "payload": {"approved": True}}
        refused = await run(visitor, run_input(resume=[answer], runId="r2"))
        assert refused[-1]["message"] == "Alles, was auf eine Antwort wartet, muss auf einmal beantwortet werden."


async def _post(visitor: Visitor, path: str, body: object, language: str):
    url = f"/conversations/{visitor.conversation}{path}"
    return await visitor.served.http.post(url, json=body, headers={**visitor.headers, "Accept-Language": language})


# ---- in a turn


@pytest.mark.parametrize(
    ("error", "says"),
    [(ModelUnavailable(), "Das Sprachmodell antwortet nicht"), (RuntimeError("a bug"), "Bei uns ist etwas")],
)
async def test_a_turn_that_fails_ends_in_the_language_of_its_conversation(core, watching, error, says) -> None:
    async with core([Fail(error)]) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, GERMAN, client_message_id="m1")
        watch = watching(door, ANA, conversation)
        await watch.event(SettingChanged, name="language", value="de")
        assert says in (await watch.event(TurnFinished, status="failed")).aloud


async def test_an_apology_that_is_kept_as_a_message_is_in_the_language_too(core, watching) -> None:
    async with core([Call("lookup", {"q": "1"})], [Call("lookup", {"q": "2"})], max_steps=1) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, GERMAN, client_message_id="m1")
        watch = watching(door, ANA, conversation)
        ended = await watch.event(TurnFinished, code="too_many_steps")
        assert ended.aloud.startswith("Das waren für mich zu viele Schritte.")
        assert (await watch.event(MessageFinished)).text == ended.aloud


async def test_the_owners_sentence_is_said_as_the_owner_wrote_it(core, watching) -> None:
    async with core("Never said.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, f"{GERMAN} darn", client_message_id="m1")
        assert (await watching(door, ANA, conversation).event(TurnFinished)).aloud == "Let's stay polite."


async def test_a_conversation_in_no_language_of_ours_is_answered_in_english(core, watching) -> None:
    async with core(["The answer is ", Fail(AnswerCut())]) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "7", client_message_id="m1")
        assert (await watching(door, ANA, conversation).event(TurnFinished)).aloud == AnswerCut.aloud
