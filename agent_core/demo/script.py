"""The playbook's reader: from what a model is given to what it says or calls next. Pure and deterministic.

goal    the newest wish in the customer's words that is not settled yet
facts   what the customer said and what tools answered since
next    prove who it is, then the first step without an answer, then the closing words
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from agent_core import money

#: A wish is in the beginning of a message; looking through pages of each would keep everybody else waiting.
LONGEST = 2000
#: Of a list.
SHOWN = 6
LANGUAGE = {"English": "en", "German": "de", "Spanish": "es", "French": "fr", "Arabic": "ar"}
_WRITE_IN = re.compile(r"Write in (\w+)")
#: For trimmed text: each part takes all it can at once, so that 16 KB of blanks or braces are no work.
_TOOL = re.compile(r"(?:!tool|use the client tool)\s+(\w+)(?:\s+with)?\s*(\{.*)?$", re.DOTALL | re.IGNORECASE)
_CHOSE = re.compile(r'customer chose: ".*" \((\w+)\)')
_HOLE = re.compile(r"\{(\w+)(?:\|(\w+))?\}")


@dataclass(frozen=True)
class Say:
    text: str


@dataclass(frozen=True)
class Call:
    tool: str
    arguments: Mapping[str, Any]


Move = Say | Call


@cache
def playbook() -> dict[str, Any]:
    """The scripts, with their patterns compiled."""
    book: dict[str, Any] = yaml.load(Path(__file__).with_name("playbook.yaml").read_text("utf-8"), yaml.CSafeLoader)
    for intent in book["intents"].values():
        intent["when"] = re.compile("|".join(intent["when"]), re.IGNORECASE)
    book["facts"] = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in book["facts"].items()}
    called = {step["call"] for step in _steps(book)} | set(book["home"])
    book["tools"] = {name for name in called if not name.startswith("display")}
    return book


def _steps(book: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from book["proof"]
    for intent in book["intents"].values():
        yield from intent.get("steps", ())
    for question in book["ask"].values():
        yield from question.get("first", ())


class Scene:
    """Everything a model is given in one call."""

    def __init__(self, instructions: str | None, items: Sequence[Any], tools: Sequence[str], handoffs: Sequence[str]):
        self.book, self.items = playbook(), items
        self.tools, self.handoffs = set(tools), set(handoffs)
        written = _WRITE_IN.findall(instructions or "")
        self.language = LANGUAGE.get(written[-1], "en") if written else "en"
        self.said = [(n, _text(item)) for n, item in enumerate(items) if item.get("role") == "user"]

    @property
    def at_home(self) -> bool:
        """Whether the scripts were written for this team: it has one of their tools, or hands over to their agents alone."""
        among_them = bool(self.handoffs) and self.handoffs <= set(self.book["toward"])
        return among_them or bool(self.tools & self.book["tools"])

    @property
    def offered(self) -> list[str]:
        """What may be called here, by the name that calls it."""
        return sorted({*self.tools, *(f"transfer_to_{name}" for name in self.handoffs)})

    # ---- what is wanted

    @cached_property
    def goal(self) -> tuple[int, dict[str, Any] | None]:
        """(place of the words that asked for it, intent); the intent is None when nothing was understood."""
        for place, text in reversed(self.said):
            intent = self._intent(text)
            if intent is not None and (place == self.newest or not self._settled(place, intent)):
                return place, intent
            if intent is not None:
                break
        return self.newest, None

    @property
    def newest(self) -> int:
        return self.said[-1][0] if self.said else 0

    def _intent(self, text: str) -> dict[str, Any] | None:
        intents: dict[str, dict[str, Any]] = self.book["intents"]
        text = text[:LONGEST]
        if chosen := _CHOSE.search(text):
            return intents.get(chosen[1])
        if text.startswith("[The customer submitted"):
            return None
        return next((intent for intent in intents.values() if intent["when"].search(text)), None)

    def _settled(self, place: int, intent: Mapping[str, Any]) -> bool:
        """Something was said after its last step or the one that failed, or after the words themselves if it has none."""
        steps = intent.get("steps", ())
        answered = [n for step in steps if (n := self._place_of_answer(step["call"], place)) is not None]
        failed = next((n for n in answered if _object(self.items[n]["output"]) is None), None)
        if failed is not None:  # by the customer, too, who went on to something else
            return any(item.get("role") in ("assistant", "user") for item in self.items[failed:])
        end = place if not steps else answered[-1] if len(answered) == len(steps) else None
        return end is not None and any(item.get("role") == "assistant" for item in self.items[end:])

    # ---- what is known

    def answer(self, tool: str, since: int) -> str | None:
        """The newest output of a tool after the words at `since`."""
        place = self._place_of_answer(tool, since)
        return None if place is None else str(self.items[place]["output"])

    def _place_of_answer(self, tool: str, since: int) -> int | None:
        calls = {i["call_id"] for i in self.items[since:] if i.get("type") == "function_call" and i["name"] == tool}
        places = [
            n for n, i in enumerate(self.items) if i.get("type") == "function_call_output" and i["call_id"] in calls
        ]
        return places[-1] if places else None

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What the customer said and, since the goal, what tools answered; the newest counts."""
        out: dict[str, Any] = {}
        for place, item in enumerate(self.items):
            if item.get("role") == "user":
                out |= self._named(_text(item))
            elif item.get("type") == "function_call_output" and place > self.goal[0]:
                out |= _object(item["output"]) or {}
            elif item.get("type") == "function_call_output" and "customer_number" in item["output"]:
                out |= {n: v for n, v in (_object(item["output"]) or {}).items() if n == "customer_number"}
        return out | {"said": dict(self.said)[self.goal[0]][:300] if self.said else ""}

    def _named(self, text: str) -> dict[str, str]:
        found = {name: pattern.findall(text[:LONGEST]) for name, pattern in self.book["facts"].items()}
        names = {name: matches[-1] for name, matches in found.items() if matches}
        if "plan_id" in names:  # a plan's name is its id, written in two words
            names["plan_id"] = names["plan_id"].lower().replace(" ", "-")
        return names

    def chosen(self, fact: str) -> bool:
        """Whether the customer named it: then no tool's list takes its place."""
        return any(fact in self._named(text) for _place, text in self.said)

    @cached_property
    def verified(self) -> bool:
        outputs = [_object(i["output"]) or {} for i in self.items if i.get("type") == "function_call_output"]
        return any(o.get("verified") is True and o.get("customer_number") == self.customer for o in outputs)

    @property
    def customer(self) -> str | None:
        number = self.facts.get("customer_number")
        return number.upper() if number else None

    # ---- words

    def words(self, text: Mapping[str, str] | str, facts: Mapping[str, Any] | None = None) -> str:
        template = text if isinstance(text, str) else text.get(self.language) or text["en"]
        known = self.facts if facts is None else facts
        return _HOLE.sub(lambda hole: self._filled(hole[1], hole[2], known), template)

    def _filled(self, name: str, form: str | None, facts: Mapping[str, Any]) -> str:
        value = facts.get(name, "–")
        match form:
            case "money":
                currency = facts.get("currency") or self.facts.get("currency") or "EUR"
                return money.amount(value, currency, self.language) if isinstance(value, int) else str(value)
            case "word":
                return str(self.book["words"].get(value, {}).get(self.language, value))
            case "lines" | "count" | "first" | "last":
                return self._listed(name, form, value) if isinstance(value, list) else "–"
        return str(value)

    def _listed(self, name: str, form: str, entries: Sequence[Mapping[str, Any]]) -> str:
        if form == "count":
            return str(len(entries))
        if form == "lines":
            return "\n".join(self.words(self.book["lines"][name], entry) for entry in entries[:SHOWN])
        return self.words(self.book["entry"][name], entries[:SHOWN][0 if form == "first" else -1]) if entries else "–"

    def filled(self, arguments: Any) -> Any:
        """Arguments with their holes filled and in one language; a missing fact raises KeyError with its name."""
        if isinstance(arguments, dict) and "en" in arguments:
            return self.words(arguments)
        if isinstance(arguments, dict):
            return {name: self.filled(value) for name, value in arguments.items()}
        if isinstance(arguments, list):
            return [self.filled(value) for value in arguments]
        if isinstance(arguments, str):
            for name, _form in _HOLE.findall(arguments):
                if name not in self.facts:
                    raise KeyError(name)
            return self.words(arguments)
        return arguments


def decide(instructions: str | None, items: Sequence[Any], tools: Sequence[str], handoffs: Sequence[str]) -> list[Move]:
    """What comes next. The first words of a conversation say that this is a demo."""
    scene = Scene(instructions, items, tools, handoffs)
    moves = _next(scene)
    fresh = not any(item.get("role") == "assistant" for item in items)
    if fresh and isinstance(moves[0], Say):
        disclosure = scene.book["disclosure"] if scene.at_home else scene.book["stranger"]["disclosure"]
        return [Say(f"{scene.words(disclosure)} {moves[0].text}"), *moves[1:]]
    return moves


def covered(transcript: str, instructions: str) -> list[str]:
    """The analyst's answer: the topics of its list that the transcript has dealt with."""
    topics = re.findall(r"^- (.+)$", instructions.partition("Topics:")[2], re.MULTILINE)
    rules: Mapping[str, str] = playbook()["analyst"]
    return [topic for topic in topics if re.search(rules.get(topic, re.escape(topic)), transcript)]


def _next(scene: Scene) -> list[Move]:
    newest = dict(scene.said).get(scene.newest, "")
    if order := _TOOL.search(newest.strip()):
        return _direct(scene, order[1], order[2] or "{}")
    if not scene.at_home:
        return [Say(scene.words(scene.book["stranger"]["say"], {"offered": _marked(scene.offered)}))]
    place, intent = scene.goal
    if intent is None:
        return _puzzled(scene)
    if intent.get("needs") == "customer" and not scene.verified:
        return _prove(scene, place)
    return _perform(scene, place, intent)


def _direct(scene: Scene, tool: str, arguments: str) -> list[Move]:
    """A developer's order: call exactly this, and show what it answered."""
    answer = scene.answer(tool, scene.newest)
    if answer is not None:
        return [Say(f"`{tool}`: {answer[:1000]}")]
    if tool in scene.offered:
        return [Call(tool, _object(arguments) or {})]
    home = scene.book["home"].get(tool, "problem_solving")
    nowhere: list[Move] = [Say(f"`{tool}` is not on offer here. On offer: {_marked(scene.offered)}.")]
    been_there = scene.answer(f"transfer_to_{home}", scene.newest) is not None
    return nowhere if been_there or not scene.at_home else _toward(scene, home, nowhere)


def _marked(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "–"


def _prove(scene: Scene, place: int) -> list[Move]:
    """Each step of the proof until it has answered with the customer's number; what it refused is said."""
    for step in scene.book["proof"]:
        got = _object(scene.answer(step["call"], place) or "") or {}
        if scene.customer is None or got.get("customer_number") != scene.customer:
            refused = scene.answer(step["call"], scene.newest) if scene.customer else None
            return [_failure(scene, refused)] if refused else _step(scene, place, step)
    return _puzzled(scene)


# ---- doing it


def _perform(scene: Scene, place: int, intent: Mapping[str, Any]) -> list[Move]:
    for n, step in enumerate(intent.get("steps", ())):
        answer = scene.answer(step["call"], place)
        if answer is None:
            return _step(scene, place, step, intent.get("before") if n == 0 else None)
        got = _object(answer)
        if got is None:
            return [_failure(scene, answer)]
        for fact, entries in step.get("pick", {}).items():
            if got.get(entries) and not scene.chosen(fact):
                scene.facts[fact] = got[entries][0][fact]
    return [Say(scene.words(intent["say"]))]


def _step(scene: Scene, place: int, step: Mapping[str, Any], before: Mapping[str, str] | None = None) -> list[Move]:
    if step["call"] not in scene.tools:
        return _toward(scene, scene.book["home"].get(step["call"], "problem_solving"))
    try:
        call = Call(step["call"], scene.filled(step["with"]))
    except KeyError as missing:
        question = scene.book["ask"].get(missing.args[0])
        return _ask(scene, question, place) if question else [_failure(scene, f"{missing.args[0]}?")]
    return [Say(scene.words(before)), call] if before else [call]


def _ask(scene: Scene, question: Mapping[str, Any], since: int) -> list[Move]:
    """What finds it out or shows it first, each once, where it is on offer; then the words."""
    for step in question.get("first", ()):
        if step["call"] in scene.tools and scene.answer(step["call"], since) is None:
            return [Call(step["call"], scene.filled(step["with"]))]
    return [Say(scene.words(question["say"]))]


def _puzzled(scene: Scene) -> list[Move]:
    return _ask(scene, scene.book["puzzled"], scene.newest)


def _failure(scene: Scene, words: str) -> Say:
    rule = next(rule for rule in scene.book["failures"] if re.search(rule["when"], words))
    return Say(scene.words(rule["say"], scene.facts | {"words": words[:300]}))


def _toward(scene: Scene, agent: str, otherwise: list[Move] | None = None) -> list[Move]:
    over = next((name for name in scene.book["toward"][agent] if name in scene.handoffs), None)
    return [Call(f"transfer_to_{over}", {})] if over else otherwise or _puzzled(scene)


def _text(item: Mapping[str, Any]) -> str:
    content = item.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
