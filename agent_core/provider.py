"""The one connection to the model's provider: its pool, its time limits, its only layer of retries, its breaker.

Retries live here and not in the Runner (ModelRetrySettings) because only here it is known whether a word has already
been handed on: the Runner never sees words, and would let a customer read the same beginning twice.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, InvalidURL, TCPConnector

from agent_core.breaker import Breaker, BreakerOpen
from agent_core.errors import AnswerStalled, ModelMisconfigured, ModelUnavailable
from agent_core.provider_events import EventDecoder
from agent_core.provider_faults import Fault, broken, of_status
from agent_core.provider_stream import NONSENSE, Reader

#: What a complete answer may still wait for: the token counts, and the end that lets the connection be used again.
LINGER_SECONDS = 0.5
#: OpenAI's load balancer closes idle connections after about a minute; a new one costs two round trips and TLS.
KEEPALIVE_SECONDS = 45
REFUSAL_BYTES = 64 * 1024
MODELS_BYTES = 4 * 1024 * 1024
LONGEST_BACKOFF = 8.0
#: OpenAI's own 401 quotes most of the key.
_KEY = re.compile(r"\b(sk|pk|key)-[\w*.-]{6,}")


class ProviderClient:
    """Made once per process, used by any number of turns at once. Times in seconds; `retries` beyond the first call."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        idle_timeout: float = 30.0,
        total_timeout: float = 120.0,
        connect_timeout: float = 10.0,
        retries: int = 2,
        backoff: float = 0.5,
        breaker: Breaker | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.official = self.base_url.startswith("https://api.openai.com/")
        self.breaker = breaker or Breaker()
        self._key = api_key
        self._idle, self._total, self._connect = idle_timeout, total_timeout, connect_timeout
        self._retries, self._backoff = retries, backoff
        self._session: ClientSession | None = None

    def __repr__(self) -> str:
        return f"ProviderClient({self.base_url!r})"

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def models(self) -> tuple[str, ...]:
        """Names of the models offered. Raises ModelUnavailable: not reached; ModelMisconfigured: key or address."""
        try:
            found = await self._list_models()
        except Fault as caught:
            found = caught
        if isinstance(found, Fault):
            raise found.error
        return found

    async def answer(
        self,
        path: str,
        body: bytes,
        *,
        reader: Callable[[], Reader],
        on_text: Callable[[str], None],
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Reader:
        """POST and listen until the answer is complete; words go to `on_text` as they come. Raises ModelError."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._total
        for attempt in itertools.count(1):
            call = _Call(path, body, headers or {}, query or {}, reader(), on_text, deadline)
            fault = await self._try(call)
            if fault is None:
                return call.reader
            wait = self._wait(fault, attempt)
            if wait is None:
                raise fault.error  # outside every `except`: nothing of the request, so nothing of the key, hangs on it
            if loop.time() + wait >= deadline:
                raise ModelUnavailable(f"{fault.error}; to wait {wait:.0f} s is longer than the turn has")
            await asyncio.sleep(wait)
        raise AssertionError("attempts are counted without end")

    # ---- asking again

    def _wait(self, fault: Fault, attempt: int) -> float | None:
        """None: do not ask again."""
        if not fault.again or attempt > self._retries:
            return None
        return pause(attempt, self._backoff, fault.wait)

    async def _try(self, call: _Call) -> Fault | None:
        try:
            self.breaker.check()
        except BreakerOpen as refused:
            return Fault(ModelUnavailable(f"the provider is out of order; tried again in {refused.retry_after:.0f} s"))
        try:
            fault = await self._attempt(call)
        except BaseException:  # the turn was stopped, or its sink broke: this tells nothing of the provider
            self.breaker.abandoned()
            raise
        if not call.reader.begun:  # the first word was a sign of life already
            self._tell(fault)
        return fault

    def _tell(self, fault: Fault | None) -> None:
        """A refusal is a sign of life as well."""
        if fault is not None and fault.down:
            self.breaker.failed()
        else:
            self.breaker.succeeded()

    # ---- one call

    async def _attempt(self, call: _Call) -> Fault | None:
        reader = call.reader
        try:
            async with patience(call.deadline, self._idle) as watch:
                await self._listen(call, watch)
        except Fault as caught:
            fault = caught
        except InvalidURL:
            fault = Fault(ModelMisconfigured("the provider's address cannot be read"))
        except ClientError as error:
            fault = broken(f"the connection to the provider failed ({type(error).__name__})", begun=reader.begun)
        except TimeoutError:
            fault = self._late(watch, reader)
        else:
            return None
        if reader.complete:  # only the token counts were still missing
            return None
        return self._scrubbed(fault)

    def _late(self, watch: Watch, reader: Reader) -> Fault:
        why = f"nothing more for {self._idle:g} s" if watch.stalled else f"not finished after {self._total:g} s"
        if reader.begun:
            return Fault(AnswerStalled(f"the answer stalled: {why}"))
        # Not made again: whoever asked has waited long enough.
        return Fault(ModelUnavailable(f"the provider does not answer: {why}"), down=True)

    async def _listen(self, call: _Call, watch: Watch) -> None:
        response = await self._open().post(
            self.base_url + call.path, data=call.body, headers=call.headers, params=call.query, allow_redirects=False
        )
        try:
            if response.status != 200:
                raise of_status(response.status, response.headers, await _read(response, REFUSAL_BYTES))
            _must_answer(response)
            await self._hear(response, call, watch)
        finally:
            # Read to its end, the connection is kept. Otherwise, as when a turn is stopped, it is closed: the provider
            # should not go on writing, nor billing.
            response.release()

    async def _hear(self, response: ClientResponse, call: _Call, watch: Watch) -> None:
        decoder, reader = EventDecoder(), call.reader
        async for data in response.content.iter_any():
            self._take(decoder, data, call, watch)
        self._take(decoder, None, call, watch)
        if not reader.complete:
            raise broken("the stream ended in the middle of the answer", begun=reader.begun)

    def _take(self, decoder: EventDecoder, data: bytes | None, call: _Call, watch: Watch) -> None:
        """One read of the socket, or its end: its words go out together, also when what follows them is broken."""
        reader = call.reader
        if reader.over:
            return
        waiting = not reader.begun
        try:
            if data is None and decoder.plain:
                _read_whole(decoder.body(), reader)
            else:
                # Not every server ends its last event.
                _decode(decoder, b"\n\n" if data is None else data, reader, watch)
        finally:
            if text := reader.spoken.take(last=reader.complete):
                call.on_text(text)
        if waiting and reader.begun:
            self.breaker.succeeded()
        if reader.complete:
            watch.linger()

    async def _list_models(self) -> tuple[str, ...] | Fault:
        loop = asyncio.get_running_loop()
        try:
            async with patience(loop.time() + self._connect, self._connect):
                response = await self._open().get(f"{self.base_url}/models", allow_redirects=False)
                try:
                    status, body = response.status, await _read(response, MODELS_BYTES)
                finally:
                    response.close()
        except (ClientError, TimeoutError) as error:
            return Fault(ModelUnavailable(f"{self.base_url} is not reached ({type(error).__name__})"))
        if status != 200:
            return self._scrubbed(of_status(status, response.headers, body))
        try:
            return tuple(str(model["id"]) for model in json.loads(body)["data"])
        except NONSENSE:
            return Fault(
                ModelMisconfigured(f"{self.base_url}/models does not answer as an OpenAI API; is the path right?")
            )

    # ---- the connection

    def _open(self) -> ClientSession:
        """Made on first use, in the loop that uses it."""
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS),
                timeout=ClientTimeout(total=None, sock_connect=self._connect),
                headers=self._headers(),
                cookie_jar=DummyCookieJar(),
                trust_env=False,
            )
        return self._session

    def _headers(self) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream, application/json",
            "Accept-Encoding": "identity",  # a compressor holds words back
            "User-Agent": "parley",
        }
        return {**headers, "Authorization": f"Bearer {self._key}"} if self._key else headers

    def _scrubbed(self, fault: Fault) -> Fault:
        """The same without the key, wherever a provider quoted it."""
        text = str(fault.error)
        clean = _KEY.sub("[key]", text.replace(self._key, "[key]") if self._key else text)
        if clean == text:
            return fault
        error = type(fault.error)(clean, aloud=fault.error.aloud)
        return Fault(error, again=fault.again, down=fault.down, wait=fault.wait)


def pause(attempt: int, backoff: float, wanted: float | None = None) -> float:
    """Seconds before the next call: full jitter; above the time that the provider wants, if it names one."""
    jittered = random.uniform(0, min(LONGEST_BACKOFF, backoff * 2 ** (attempt - 1)))
    return jittered if wanted is None else max(jittered, wanted * random.uniform(1.0, 1.3))


@dataclass(frozen=True, slots=True)
class _Call:
    """One attempt: what is sent, who listens, until when (time of the loop)."""

    path: str
    body: bytes
    headers: Mapping[str, str]
    query: Mapping[str, str]
    reader: Reader
    on_text: Callable[[str], None]
    deadline: float


class Watch:
    """Ends a wait that has become idle. A sign of life costs an assignment, not a timer."""

    def __init__(self, limit: asyncio.Timeout, idle: float) -> None:
        self._limit, self._idle = limit, idle
        self._loop = asyncio.get_running_loop()
        self._alive = self._loop.time()
        self._timer = self._loop.call_later(idle, self._look)
        self._lingers = self.stalled = False

    def alive(self) -> None:
        self._alive = self._loop.time()

    def linger(self) -> None:
        """What was waited for is here."""
        if not self._lingers:
            self._lingers = True
            self._end(self._loop.time() + LINGER_SECONDS)

    def stop(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        left = self._alive + self._idle - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self.stalled = True
            self._end(self._loop.time())

    def _end(self, when: float) -> None:
        if not self._limit.expired():
            self._limit.reschedule(when)


@asynccontextmanager
async def patience(deadline: float, idle: float) -> AsyncIterator[Watch]:
    """Raises TimeoutError at `deadline` (time of the loop), or `idle` seconds after the last sign of life."""
    async with asyncio.timeout_at(deadline) as limit:
        watch = Watch(limit, idle)
        try:
            yield watch
        finally:
            watch.stop()


def _decode(decoder: EventDecoder, data: bytes, reader: Reader, watch: Watch) -> None:
    try:
        for name, payload in decoder.feed(data):
            watch.alive()
            if payload and not reader.over:
                reader.take(name, payload)
    except NONSENSE as error:
        raise broken(f"the stream cannot be read ({type(error).__name__})", begun=reader.begun) from None
    if decoder.plain:
        watch.alive()


def _read_whole(body: bytes, reader: Reader) -> None:
    """What a server says that does not stream, or does not answer: some tell of failures with the status of a success."""
    try:
        answer = json.loads(body)
    except NONSENSE:
        raise broken("the answer ended in the middle", begun=False) from None
    try:
        reader.whole(answer)
    except NONSENSE as error:
        if reader.spoken:
            raise broken(f"the answer cannot be read ({type(error).__name__})", begun=True) from None
        raise _misplaced("JSON that is no answer") from None


def _must_answer(response: ClientResponse) -> None:
    kind = response.headers.get("Content-Type", "")
    if kind.startswith("text/html"):
        raise _misplaced(kind)


def _misplaced(kind: str) -> Fault:
    return Fault(ModelMisconfigured(f"the provider answers {kind} in place of an event stream; is the address right?"))


async def _read(response: ClientResponse, limit: int) -> bytes:
    """The body as far as `limit`."""
    body = bytearray()
    async for data in response.content.iter_any():
        body += data
        if len(body) >= limit:
            break
    return bytes(body[:limit])
