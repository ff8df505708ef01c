"""A team is data: agents, their tools, deliverables and handoffs, the servers they reach, the rules for each tool.

Read from YAML into an immutable value; every mistake names its place: a SetupError for the file that a server starts
with, Invalid for what somebody sends.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from agent_core import cpu_time
from agent_core.errors import Invalid, SetupError
from agent_core.team_mistakes import mistake
from agent_core.text import wellformed

if TYPE_CHECKING:
    from agent_core.pricing import Tokens
    from agent_core.settings import Settings

logger = logging.getLogger("parley.team")

#: Of computing, for one pattern and one message. The demo's takes 2 ms for the longest message there is.
GUARDRAIL_SECONDS = 0.1
#: Of the deployment, and in its file alone: commands, addresses, secrets.
IN_THE_FILE = frozenset({"servers"})
#: In the file, a secret is named, and stands elsewhere.
_NAMED = re.compile(r"\$\{(\w+)\}")


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*")
    @classmethod
    def _unicode(cls, value: Any) -> Any:
        """JSON can hold half a character; no answer, and no model's request, can be written with it."""
        if any(wellformed(text) != text for text in _texts(value)):
            raise ValueError("must be valid Unicode")
        return value


def _texts(value: Any) -> Iterator[str]:
    """In a field itself; what is nested there checks its own."""
    match value:
        case str():
            yield value
        case tuple():
            yield from (text for text in value if isinstance(text, str))
        case Mapping():
            yield from (text for text in (*value, *value.values()) if isinstance(text, str))


def _text(said: Any) -> Any:
    texts = [*said, *said.values()] if isinstance(said, Mapping) else [said]
    if not texts or not all(isinstance(text, str) and text.strip() and wellformed(text) == text for text in texts):
        raise ValueError("must be a text, or a text for each language")
    return said


def _spelt(pattern: str, words: str) -> AfterValidator:
    def check(name: str) -> str:
        if re.fullmatch(pattern, name) is None:
            raise ValueError(f"{name[:60]!r} must be {words}, a letter first")
        return name

    return AfterValidator(check)


def _language(code: str) -> str:
    if re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?", code) is None:
        raise ValueError(f"{code[:60]!r} must be a language's code, such as en or de")
    return code


LanguageCode = Annotated[str, AfterValidator(_language)]

#: For people to read: one text for every language, or one for each.
Said = Annotated[str | Mapping[str, str], BeforeValidator(_text)]


class ToolRule(_Data):
    """What the owner says of a tool, whatever its server claims. Seconds."""

    approval: bool = False
    #: Arguments the customer may change while confirming.
    editable: tuple[str, ...] = ()
    #: May be run again with the same Idempotency-Key when its outcome got lost.
    idempotent: bool = False
    #: When it has done its work, the customer waits for a person: operators find the conversation by that.
    calls_person: bool = False
    #: No approval is asked when the customer accepted this deliverable for the argument `of`: once for each acceptance.
    covered_by: str | None = None
    of: str | None = None
    timeout: float = Field(15, gt=0, le=300)
    #: What the customer reads while it runs, by language; `{argument}` is filled in.
    title: Mapping[str, str] = {}
    #: What an argument is called where the customer is asked for a yes, and what is read in the place of its values.
    labels: Mapping[str, Said] = {}
    values: Mapping[str, Mapping[str, Said]] = {}
    #: Amounts in the minor unit, each with the argument that has its currency, or the currency itself.
    money: Mapping[str, str] = {}

    @property
    def languages(self) -> Iterator[tuple[str, str]]:
        """(place, language) of each text that is for one language."""
        said: list[tuple[str, Said]] = [("title", self.title)]
        said += [(f"labels.{name}", text) for name, text in self.labels.items()]
        for name, texts in self.values.items():
            said += [(f"values.{name}.{value}", text) for value, text in texts.items()]
        for place, text in said:
            yield from ((place, language) for language in _languages(text))


def _languages(said: Said) -> tuple[str, ...]:
    return () if isinstance(said, str) else tuple(said)


Dollars = Annotated[float, Field(strict=True, ge=0, le=10_000)]


class Rates(_Data):
    """In US dollars per million tokens. Without `cached`, cached input costs what other input does."""

    input: Dollars
    cached: Dollars | None = None
    output: Dollars

    def microdollars(self, used: Tokens) -> int:
        cached = self.input if self.cached is None else self.cached
        return round((used.input - used.cached) * self.input + used.cached * cached + used.output * self.output)


class Price(Rates):
    """Of a model; `audio`: of the tokens that are sound, where it speaks."""

    audio: Rates | None = None


#: For a tool of which the owner says nothing.
USUAL = ToolRule()


class Server(_Data):
    """An MCP server: in this process (`python`), a child (`command`), or elsewhere (`url`)."""

    #: Two underscores are between its name and a tool's, and nowhere in it: one name must not be two tools.
    name: Annotated[str, _spelt(r"[a-z](_?[a-z0-9-])*", "small letters, digits, - and single _")] = Field(max_length=31)
    python: str | None = None
    options: Mapping[str, Any] = {}
    command: tuple[str, ...] | None = None
    env: Mapping[str, str] = {}
    url: str | None = None
    headers: Mapping[str, str] = {}
    #: Whether its tools are told who is signed in.
    identity: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Server:
        if sum(way is not None for way in (self.python, self.command, self.url)) != 1:
            raise ValueError("needs exactly one of python, command, url")
        return self


class Guardrail(_Data):
    """An input that this agent does not take: a pattern, and what is said instead."""

    name: str
    pattern: str
    aloud: Said

    @model_validator(mode="after")
    def _compiles(self) -> Guardrail:
        try:
            re.compile(self.pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"pattern {self.pattern[:100]!r}: {error}") from None
        return self

    def said(self, language: str) -> str:
        """What is said instead; in English, or the first language there is, where it has no text in this one."""
        if isinstance(self.aloud, str):
            return self.aloud
        return self.aloud.get(language) or self.aloud.get("en") or next(iter(self.aloud.values()))

    def trips(self, text: str) -> bool:
        """Also when that can't be said in time: who wears a pattern out must not get past it."""
        try:
            with cpu_time.at_most(GUARDRAIL_SECONDS):
                return re.search(self.pattern, text, re.IGNORECASE) is not None
        except cpu_time.CpuTimeSpent:
            logger.warning("guardrail %s: its pattern takes too long for a message; it was refused", self.name)
            return True


Mode = Literal["pipeline", "supervised", "realtime"]


class Voice(_Data):
    """How an agent speaks. `name` and `speed` as the speech provider knows them; seconds."""

    name: str | None = None
    speed: float = Field(1.0, ge=0.5, le=2)
    #: The modes that are allowed, the preferred one first. A mode that fails falls back to the next, and at last to text.
    modes: tuple[Mode, ...] = Field(("pipeline",), min_length=1)
    #: So long the customer is silent when they have finished, and so long they speak when they break in.
    pause: float = Field(0.4, ge=0, le=3)
    interruption: float = Field(0.4, ge=0, le=3)


class Agent(_Data):
    name: Annotated[str, _spelt(r"[a-z][a-z0-9_]{0,40}", "small letters, digits and _")]
    description: str
    instructions: str
    label: str | None = None
    model: str | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    voice: Voice = Voice()
    tools: tuple[str, ...] = ()
    deliverables: tuple[str, ...] = ()
    handoffs: tuple[str, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()


class Analyst(_Data):
    """Runs beside the lead agent and keeps covered and open topics; never delays a reply."""

    instructions: str
    topics: tuple[str, ...] = Field(min_length=1, max_length=20)
    model: str | None = None


class Language(_Data):
    allowed: tuple[LanguageCode, ...] = Field(("en",), min_length=1)
    fixed: LanguageCode | None = None

    @property
    def default(self) -> str:
        return self.fixed or self.allowed[0]


class Team(_Data):
    name: str = Field(min_length=1, max_length=80)
    label: str
    start: str
    rules: str = ""
    language: Language = Language()
    servers: tuple[Server, ...] = ()
    tools: Mapping[str, ToolRule] = {}
    agents: tuple[Agent, ...] = Field(min_length=1)
    analyst: Analyst | None = None
    #: By model, for those that the price list does not know, or knows otherwise.
    prices: Mapping[str, Price] = {}

    @model_validator(mode="after")
    def _hangs_together(self) -> Team:
        names = [a.name for a in self.agents]
        if len(set(names)) != len(names):
            raise ValueError("two agents have the same name")
        for place, name in self._named():
            if name not in names:
                raise PydanticCustomError("no_agent", "there is no agent {name}", {"place": place, "name": repr(name)})
        for place, language in self._unknown_languages():
            words = "there is no language {name}; this team speaks {spoken}"
            spoken = ", ".join(self.language.allowed)
            raise PydanticCustomError("no_language", words, {"place": place, "name": repr(language), "spoken": spoken})
        return self

    def _unknown_languages(self) -> Iterator[tuple[str, str]]:
        """(place, language). A team that speaks fewer than it has texts for is none the worse."""
        spoken = {*self.language.allowed, self.language.default}
        said = [(f"tools.{tool}.{at}", code) for tool, rule in self.tools.items() for at, code in rule.languages]
        for n, agent in enumerate(self.agents):
            for m, guardrail in enumerate(agent.guardrails):
                said += [(f"agents.{n}.guardrails.{m}.aloud", code) for code in _languages(guardrail.aloud)]
        if others := [(place, language) for place, language in said if language not in spoken]:
            from agent_core.language import NEIGHBOURS

            yield from ((place, language) for place, language in others if language not in NEIGHBOURS)

    def _named(self) -> Iterator[tuple[str, str]]:
        """Where an agent is named, and which."""
        yield "start", self.start
        for n, agent in enumerate(self.agents):
            for m, target in enumerate(agent.handoffs):
                yield f"agents.{n}.handoffs.{m}", target

    @property
    def body(self) -> dict[str, Any]:
        """What is versioned: everything but the servers."""
        return self.model_dump(mode="json", exclude=set(IN_THE_FILE))

    @property
    def sparse(self) -> dict[str, Any]:
        """The body, without what is as usual: for people to read."""
        return self.model_dump(mode="json", exclude=set(IN_THE_FILE), exclude_defaults=True)

    @property
    def digest(self) -> str:
        """Of the sparse body: a setting that a later Parley adds does not make an old team another one."""
        canonical = json.dumps(self.sparse, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode(errors="surrogatepass")).hexdigest()

    @property
    def calling_a_person(self) -> frozenset[str]:
        """The tools that do, by either of their names."""
        marked = {tool for tool, rule in self.tools.items() if rule.calls_person}
        prefixes = [f"{server.name}__" for server in self.servers]
        return frozenset(name for tool in marked for p in ("", *prefixes) for name in (p + tool, tool.removeprefix(p)))

    def agent(self, name: str) -> Agent:
        """The agent of that name; the first one when a later version of the team no longer has it."""
        found = {a.name: a for a in self.agents}
        return found.get(name) or found[self.start]

    def rule(self, tool: str) -> ToolRule:
        """By either of its names: the short one holds until another server has a tool of that name. A yes is never lost."""
        if (exact := self.tools.get(tool)) is not None:
            return exact
        prefixes = [f"{server.name}__" for server in self.servers]
        others = [tool.removeprefix(p) if tool.startswith(p) else p + tool for p in prefixes]
        rules = [self.tools[name] for name in others if name in self.tools]
        return next((rule for rule in rules if rule.approval), rules[0] if rules else USUAL)


def read_team(path: Path, values: Mapping[str, str | None] | None = None) -> Team:
    """The team in a YAML file; `${NAME}` in a server's url, headers, env and options comes from `values`.

    Raises SetupError."""
    try:
        team = Team.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        return team.model_copy(update={"servers": tuple(_filled(server, values or {}) for server in team.servers)})
    except ValidationError as error:
        place, words = _mistake(error)
        raise SetupError("PARLEY_TEAM_FILE", f"{path}: {place}: {words}") from None
    except KeyError as error:
        missing = f"${{{error.args[0]}}} is not set: put it into the environment or .env"
        raise SetupError("PARLEY_TEAM_FILE", f"{path}: {missing}") from None
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise SetupError("PARLEY_TEAM_FILE", f"{path} can't be read: {error}") from None


def team_in_file(settings: Settings) -> Team:
    """The one of this installation, with what its environment and `.env` hold. Raises SetupError."""
    values = {**dotenv_values(".env"), **os.environ, "tools_database": str(settings.tools_database)}
    return read_team(settings.team_file, values)


def team_of(values: Any, servers: tuple[Server, ...] = ()) -> Team:
    """A team's body, with these servers. Raises Invalid with the place named."""
    if not isinstance(values, dict):
        raise Invalid("team", "a team is a mapping: name, label, start, agents ...")
    try:
        return Team.model_validate(values).model_copy(update={"servers": servers})
    except ValidationError as error:
        raise Invalid(*_mistake(error)) from None


#: Where in a team another kind of thing stands, by the field's name.
_PARTS: Mapping[str, type[BaseModel]] = {
    "language": Language,
    "servers": Server,
    "tools": ToolRule,
    "agents": Agent,
    "voice": Voice,
    "guardrails": Guardrail,
    "analyst": Analyst,
    "prices": Price,
}


def _mistake(error: ValidationError) -> tuple[str, str]:
    return mistake(error, Team, _PARTS)


def _filled(server: Server, values: Mapping[str, str | None]) -> Server:
    """Raises KeyError with the name of what is set nowhere, or to nothing."""
    known = {name: value for name, value in values.items() if value}

    def fill(text: Any) -> Any:
        return _NAMED.sub(lambda named: known[named[1]], text) if isinstance(text, str) else text

    parts = ("options", "env", "headers")
    filled = {part: {name: fill(value) for name, value in getattr(server, part).items()} for part in parts}
    return server.model_copy(update={**filled, "url": fill(server.url)})
