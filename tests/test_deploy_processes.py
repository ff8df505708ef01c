"""Two processes on one PostgreSQL behind nginx, which buffers: whichever of them is asked, it is one conversation.

`word0 word1 ...`: what tests/wire_server.py says to "long", a word every 20 ms.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.nginx import UPSTREAM, Nginx, needs_nginx, nginx
from tests.postgres import Cluster
from tests.wire import OPERATOR_TOKEN, Reader
from tests.wire_process import wire_process
from tests.wire_server import WORDS

pytestmark = [
    pytest.mark.postgres,
    needs_nginx,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
]

WHOLE = "".join(f"word{n} " for n in range(WORDS))
OPERATOR = {"Authorization": f"Bearer {OPERATOR_TOKEN}", "Parley-Operator": "Maya"}


@dataclass
class House:
    """`a` and `b`: clients that reach one process each; `both`: of nginx as it is deployed, which chooses."""

    processes: dict[str, asyncio.subprocess.Process]
    both: httpx2.AsyncClient
    a: httpx2.AsyncClient
    b: httpx2.AsyncClient


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One for all tests: to start it takes longer than they do. The last of them ends a process."""
    database, folder = postgres.create(), tmp_path_factory.mktemp("house")
    async with AsyncExitStack() as stack:
        starting = (stack.enter_async_context(wire_process(folder / name, database)) for name in "ab")
        started = await asyncio.gather(*starting)
        front: Nginx = await stack.enter_async_context(nginx(folder, *(address for _, address in started)))
        ways = [front.address, *(front.before[address] for _, address in started)]
        clients = [await stack.enter_async_context(httpx2.AsyncClient(base_url=way, timeout=30)) for way in ways]
        yield House({address.removeprefix("http://"): one for one, address in started}, *clients)


@dataclass
class Customer:
    """One conversation, by whichever way one takes."""

    path: str
    headers: dict[str, str]
    said: int = field(default=0)

    @classmethod
    async def come(cls, http: httpx2.AsyncClient) -> Customer:
        begun = (await http.post("/conversations", json={})).raise_for_status().json()
        return cls(f"/conversations/{begun['conversation']}", {"Authorization": f"Bearer {begun['token']}"})

    async def post(self, http: httpx2.AsyncClient, path: str, body: Any) -> httpx2.Response:
        return (await http.post(f"{self.path}{path}", json=body, headers=self.headers)).raise_for_status()

    async def say(self, http: httpx2.AsyncClient, text: str) -> httpx2.Response:
        self.said += 1
        return await self.post(http, "/messages", {"client_message_id": f"m{self.said}", "text": text})

    @asynccontextmanager
    async def watching(self, http: httpx2.AsyncClient, after: str | None = None) -> AsyncIterator[Reader]:
        headers = self.headers | ({"Last-Event-ID": after} if after else {})
        async with http.stream("GET", f"{self.path}/events?format=parley", headers=headers) as response:
            assert response.status_code == 200, (await response.aread()).decode()
            yield Reader(response)

    async def text(self, http: httpx2.AsyncClient) -> Any:
        """Of the newest item."""
        return (await http.get(self.path, headers=self.headers)).raise_for_status().json()["items"][-1].get("text")


def heard(*readers: Reader) -> str:
    """What was read of the answer, one reader after the other; what a turn said that began anew does not count."""
    text = ""
    for data in (frame.data for reader in readers for frame in reader.frames if frame.data):
        if data["type"] == "turn.resumed":
            text = ""
        elif data["type"] == "text.delta":
            text += data["text"]
    return text


async def ended(reader: Reader, status: str) -> None:
    """The turn; who had read more than what is kept of it is shown all anew instead."""
    async with asyncio.timeout(30):
        while (frame := await reader.next()) is not None:
            told = frame.data or {}
            anew = told["snapshot"].get("last_turn") or {} if told.get("type") == "reset" else {}
            if status in (anew.get("status"), told.get("status") if told.get("type") == "turn.finished" else None):
                return
    raise AssertionError(f"not {status}: {reader.events}")


async def test_words_come_one_by_one_also_from_the_other_process_and_go_on_in_the_first(house: House) -> None:
    customer = await Customer.come(house.a)
    async with customer.watching(house.a) as here, customer.watching(house.b) as there:
        await customer.say(house.a, "long")
        await here.until("text.delta")
        assert len(heard(here)) < len(WHOLE)
        await there.until("text.delta")
        cursor = there.last_id
        async with customer.watching(house.a, cursor) as resumed:
            await resumed.until("turn.finished", status="done")
        assert heard(there, resumed) == WHOLE
        await here.until("turn.finished", status="done")
        assert heard(here) == WHOLE
    async with customer.watching(house.b, cursor) as late:
        await late.until("turn.finished", status="done")
        assert heard(there, late) == WHOLE


async def test_a_stop_is_heard_by_the_process_that_speaks(house: House) -> None:
    customer = await Customer.come(house.a)
    async with customer.watching(house.a) as here, customer.watching(house.b) as there:
        await customer.say(house.a, "long")
        await here.until("text.delta")
        await there.until("text.delta")
        assert (await customer.post(house.b, "/stop", {})).json() == {"stopped": True}
        await ended(here, "stopped")
        await ended(there, "stopped")
    said = await customer.text(house.b)
    assert WHOLE.startswith(said)
    assert said != WHOLE
    assert heard(here).startswith(said)


async def test_what_one_process_asks_is_decided_in_the_other(house: House) -> None:
    customer = await Customer.come(house.a)
    async with customer.watching(house.a) as here:
        await customer.say(house.a, "lock")
        opened = await here.until("interrupt.opened")
        await here.until("turn.waiting")
        answers = await asyncio.gather(
            *(
                customer.post(way, f"/interrupts/{opened['interrupt']}", {"decision": "approve"})
                for way in (house.a, house.b) * 3
            )
        )
        assert sum(not answer.json()["replayed"] for answer in answers) == 1
        await here.until("turn.finished", status="done")
    assert (await customer.text(house.a)) == (await customer.text(house.b))
    assert "It says" in await customer.text(house.b)


async def test_an_operator_elsewhere_silences_the_agent_here(house: House) -> None:
    customer = await Customer.come(house.a)
    operators = f"/operator{customer.path}"
    async with customer.watching(house.a) as here:
        await customer.say(house.a, "long")
        await here.until("text.delta")
        (await house.b.post(f"{operators}/floor", json={}, headers=OPERATOR)).raise_for_status()
        await ended(here, "stopped")
        await customer.say(house.a, "Who is there?")
        reply = {"client_message_id": "o1", "text": "Maya."}
        (await house.b.post(f"{operators}/messages", json=reply, headers=OPERATOR)).raise_for_status()
        await here.until("message.added", text="Maya.")
        (await house.b.delete(f"{operators}/floor", headers=OPERATOR)).raise_for_status()
        await customer.say(house.a, "Bye")
        await here.until("turn.finished", status="done")
    assert await customer.text(house.b) == "You said: Bye"


async def test_a_process_that_goes_leaves_its_customers_to_the_other(house: House) -> None:
    """While an answer is given: it is read to its end, and nobody behind nginx is refused."""
    customer = await Customer.come(house.both)
    async with customer.watching(house.both) as here:
        where = (await customer.say(house.both, "long")).headers[UPSTREAM]
        assert here.response.headers[UPSTREAM] == where  # all of a conversation goes to one
        await here.until("text.delta")
        house.processes[where].send_signal(signal.SIGTERM)
        await here.rest()
    assert here.frames[-1].event == "bye"
    async with customer.watching(house.both, here.last_id) as again:
        assert again.response.headers[UPSTREAM].rpartition(" ")[2] != where
        await again.until("turn.finished", status="done")
        assert heard(here, again) == await customer.text(house.both) == WHOLE
    for _ in range(5):
        await Customer.come(house.both)
    async with asyncio.timeout(30):
        assert await house.processes[where].wait() in (0, -signal.SIGTERM)
