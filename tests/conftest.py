"""What all tests share: no network but loopback, a fresh database each, a small team, a scripted model."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import pytest_socket

from agent_core.door import Principal
from agent_core.events import Logged, TextDelta, Watched
from agent_core.settings import Settings
from tests import shop as shop_module
from tests.postgres import Cluster, postgres
from tests.scripted import ScriptedModels

__all__ = ["postgres"]

ANA = Principal("visitor", "ana")
BOB = Principal("visitor", "bob")
MAYA = Principal("operator", "maya", name="Maya")

# The 200 ms that an example may usually take are a measure of the machine, which others use, too.
hypothesis.settings.register_profile("parley", deadline=None)
hypothesis.settings.load_profile("parley")

TEAM = """
name: shop
label: The Shop
start: lead
language: {allowed: [en, de, es, fr, ar]}
servers:
  - {name: shop, python: "tests.shop:create_server"}
tools:
  lock: {approval: true, editable: [note], title: {en: "Locking card {card}", de: "Karte {card} wird gesperrt"}}
  slow: {timeout: 30}
agents:
  - name: lead
    description: Answers first.
    instructions: You help.
    tools: [lookup, charge, lock, slow, refuse, big]
    deliverables: [displayAlert, displayForm, displayChoices, displayChecklist, displayOffer]
    handoffs: [expert]
    guardrails: [{name: no_swearing, pattern: "\\\\bdarn\\\\b", aloud: "Let's stay polite."}]
  - name: expert
    description: Knows more.
    instructions: You know more.
    tools: [lookup]
    handoffs: [lead]
"""


#: For modules whose tests hold for every database: `pytestmark = each_database`; `sqlite_only` takes a test out again.
each_database = pytest.mark.each_database
sqlite_only = pytest.mark.sqlite_only


def pytest_configure() -> None:
    """What its developer has set, also in `.env`, is for another Parley; and no proxy leads back to this machine."""
    Settings.model_config["env_file"] = None
    for name in [name for name in os.environ if name.upper().startswith(("PARLEY_", "OPENAI_"))]:
        del os.environ[name]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = f"127.0.0.1,localhost,::1,{os.environ.get('NO_PROXY', '')}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    if "database" in metafunc.fixturenames and "each_database" in marks and "sqlite_only" not in marks:
        kinds = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
        metafunc.parametrize("database", kinds, indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Calls first: they take turns, so they are for one process, and at the end the others would wait for them."""
    items.sort(key=lambda item: item.get_closest_marker("livekit") is None)


def pytest_runtest_setup() -> None:
    pytest_socket.socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture
def shop() -> shop_module.Shop:
    """The business behind the small team; its events belong to this test's loop."""
    shop_module.THE_SHOP.__init__()  # type: ignore[misc]
    return shop_module.THE_SHOP


@pytest.fixture(autouse=True)
def sold_out() -> Iterator[None]:
    """What a test has put on offer is gone after it."""
    yield
    shop_module.OFFER.clear()


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield f"sqlite:///{tmp_path}/parley.db"
        return
    cluster: Cluster = request.getfixturevalue("postgres")
    url = cluster.create()
    yield url
    cluster.drop(url)


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    team = tmp_path / "team.yaml"
    team.write_text(TEAM.replace("\\\\\\\\", "\\\\"))
    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        database_url=database,
        tools_database=tmp_path / "telecom.db",
        team_file=team,
        openai_api_key=None,
        openai_base_url=None,
        demo_pace_ms=0,
        lease_seconds=2,
    )


OpenCore = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture
def core(settings: Settings, shop: shop_module.Shop) -> OpenCore:
    """`async with core(step, step, ...) as door`: a core whose model follows these steps."""

    @asynccontextmanager
    async def open_(*steps: Any, models: Any = None, **overrides: Any) -> AsyncIterator[Any]:
        from agent_core import open_core

        chosen = settings.model_copy(update=overrides)
        async with open_core(chosen, models=models or ScriptedModels(*steps)) as door:
            yield door

    return open_


class Watch:
    """A watcher in the background: what it saw, and waiting for what is to come."""

    def __init__(self, door: Any, who: Principal, conversation: str, after: Any = None) -> None:
        self.seen: list[Watched] = []
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._run(door, who, conversation, after))

    async def _run(self, door: Any, who: Principal, conversation: str, after: Any) -> None:
        async for item in door.watch(who, conversation, after):
            self.seen.append(item)
            self._news.set()

    async def until(self, wanted: Callable[[Watched], bool], seconds: float = 20) -> Watched:
        """The first thing seen for which `wanted` holds."""
        async with asyncio.timeout(seconds):
            n = 0
            while True:
                while n < len(self.seen):
                    if wanted(self.seen[n]):
                        return self.seen[n]
                    n += 1
                if self._task.done():
                    self._task.result()
                    raise AssertionError(f"the watcher ended; it saw {self.seen}")
                self._news.clear()
                await self._news.wait()

    async def event(self, cls: type, **fields: Any) -> Any:
        """The first event of this kind whose fields are these."""

        def matches(item: Watched) -> bool:
            event = item.event if isinstance(item, Logged) else item
            return isinstance(event, cls) and all(getattr(event, k) == v for k, v in fields.items())

        found = await self.until(matches)
        return found.event if isinstance(found, Logged) else found

    async def over(self, seconds: float = 20) -> None:
        """There is nothing more to see; raises what it ended with."""
        async with asyncio.timeout(seconds):
            await self._task

    @property
    def events(self) -> list[Any]:
        return [item.event for item in self.seen if isinstance(item, Logged)]

    @property
    def text(self) -> str:
        """All deltas, one after the other."""
        return "".join(item.text for item in self.seen if isinstance(item, TextDelta))

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


@pytest.fixture
async def watching() -> AsyncIterator[Callable[..., Watch]]:
    """`watching(door, who, conversation)` starts a Watch that ends with the test."""
    watches: list[Watch] = []

    def start(*args: Any, **kwargs: Any) -> Watch:
        watches.append(Watch(*args, **kwargs))
        return watches[-1]

    yield start
    for watch in watches:
        await watch.aclose()
