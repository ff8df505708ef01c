"""A stock AG-UI client's run, over the same conversations: what it brings is said, and the turn streamed back.

A run that was posted before (the connection broke, the client tries again) is joined where it is: nothing is said twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ag_ui.core import RunAgentInput
from starlette.responses import Response

from agent_core import snapshot as snapshots
from agent_core.door import Conversations, Decision, Principal, Receipt, Start
from agent_core.errors import Conflict, Invalid, NotFound
from agent_core.events import Cursor, Logged, TurnResumed, Watched
from agent_core.refusal_lines import said_in
from app import agui_input, starting
from app.agui import Encoder
from app.agui_input import Answer, News, Verdict, Words
from app.feed import FeedResponse, Frames, Stream
from app.guards import Place
from app.house import House

PAGE = 500


@dataclass(slots=True)
class Told:
    """What became of the news: where to watch from, and for which turn."""

    cursor: Cursor | None = None
    turn: str | None = None
    replayed: bool = False
    waits: bool = False  # something was decided or answered: the turn goes on, unless more of it waits
    known: set[str] = field(default_factory=set)

    def note(self, result: Receipt | Decision) -> None:
        self.cursor = self.cursor or result.cursor
        self.turn = result.turn
        self.replayed = self.replayed or result.replayed

    def hear(self, words: Words, receipt: Receipt) -> None:
        self.note(receipt)
        self.known.add(words.id)
        self.waits = False


class Uncovered(Conflict):
    code = "interrupts_uncovered"
    aloud = "Everything that waits for an answer has to be answered at once."


async def run(house: House, place: Place, address: str | None, request: RunAgentInput) -> Response:
    """Raises NotFound, Invalid, Overloaded; what was settled otherwise ends the run with RUN_ERROR."""
    house.admit_stream(place.who, address)
    news = agui_input.read(request)
    house.limits.say(place.who, len(news.words))
    try:
        told = await tell(house.door, place, news)
    except Conflict as conflict:
        return await _refusal(house.door, request, place, conflict)
    return await _follow(house, place, address, request, told)


async def _follow(house: House, place: Place, address: str | None, request: RunAgentInput, told: Told) -> Response:
    if told.cursor is None or told.replayed:
        return await join(house, place, address, request)
    if told.turn is not None:
        house.threads.remember_run(place.id, request.run_id, told.turn)
    encoder = _encoder(request, place, turn=told.turn, known=frozenset(told.known))
    if told.turn is None or (told.waits and not await _goes_on(house.door, place, told)):
        return await _over(house.door, place, encoder)
    return _streamed(house, place, encoder, told.cursor, encoder.start)


async def begin(house: House, who: Principal, start: Start, address: str | None, request: RunAgentInput) -> Response:
    """The same for a thread that is not known here: a new one is made with the first words. Raises as `run` does."""
    news = agui_input.read(request)
    if not news.only_words:
        return await run(house, Place(who, await starting.begin(house, who, start)), address, request)
    house.admit_stream(who, address)
    house.limits.say(who)
    first = news.words[0]
    with _named(first), house.limits.starting(who):
        conversation, receipt = await house.door.begin(
            who,
            await starting.at_site(house, who, start),
            first.text,
            client_message_id=first.id,
            client_tools=news.tools,
        )
    house.threads.remember(who, request.thread_id, conversation)
    told = Told()
    told.hear(first, receipt)
    return await _follow(house, Place(who, conversation), address, request, told)


async def join(house: House, place: Place, address: str | None, request: RunAgentInput) -> Response:
    """The conversation as it stands, then the turn that is running, to its end. Raises NotFound."""
    house.admit_stream(place.who, address)
    house.limits.read(place.who)
    snapshot = await house.door.snapshot(place.who, place.id)
    active = snapshot["turn"]
    running = active is not None and active["status"] == "running"
    encoder = _encoder(request, place, turn=active["id"] if running else None)
    if not running:
        return _whole(encoder.opening(snapshot) + encoder.ending(snapshot))
    house.threads.remember_run(place.id, request.run_id, active["id"])
    return _streamed(house, place, encoder, Cursor.parse(snapshot["version"]), lambda: encoder.opening(snapshot))


async def stop(house: House, place: Place, run_id: str | None) -> bool:
    """Only this run's turn, if the run is known here; else whatever runs."""
    turn = house.threads.turn(place.id, run_id) if run_id else None
    return await house.door.stop(place.who, place.id, turn)


# ---- saying it


async def tell(door: Conversations, place: Place, news: News) -> Told:
    told = Told()
    if news.stranger is not None and not news.verdicts:
        await _refuse_stranger(door, place, *news.stranger)
    if news.verdicts:
        await _decide(door, place, news.verdicts, told)
    for answer in news.answers:
        await _answer(door, place, answer, told)
    for words in news.words:
        await _say(door, place, words, news, told)
    return told


async def _refuse_stranger(door: Conversations, place: Place, n: int, id_: str) -> None:
    """The last message claims to be the agent's: fine if it is, and nothing new."""
    snapshot = await door.snapshot(place.who, place.id)
    if not any(item.get("id") == id_ for item in snapshot["items"]):
        raise Invalid(f"messages.{n}.role", "only what the customer says can be added")


async def _decide(door: Conversations, place: Place, verdicts: list[Verdict], told: Told) -> None:
    open_ = set((await door.snapshot(place.who, place.id))["open"])
    if open_ - {v.interrupt for v in verdicts}:
        raise Uncovered
    for verdict in verdicts:
        try:
            decision = await door.decide(
                place.who, place.id, verdict.interrupt, verdict.decision, arguments=verdict.arguments
            )
        except NotFound:
            raise Invalid(f"resume.{verdict.place}.interruptId", "nothing of that name waits here") from None
        except Invalid as error:
            raise Invalid(f"resume.{verdict.place}.payload.{error.field}", error.aloud) from None
        told.note(decision)
        told.waits = True


async def _answer(door: Conversations, place: Place, answer: Answer, told: Told) -> None:
    try:
        told.note(await door.answer_call(place.who, place.id, answer.call, answer.output, failed=answer.failed))
    except NotFound:
        await _refuse_unknown_call(door, place, answer)
    except Invalid as error:
        raise Invalid(f"messages.{answer.place}.content", error.aloud) from None
    else:
        told.known.add(answer.call)
        told.waits = True


async def _refuse_unknown_call(door: Conversations, place: Place, answer: Answer) -> None:
    """History again, when it is a call of the server's own; forged otherwise."""
    snapshot = await door.snapshot(place.who, place.id)
    if not any(item["kind"] == "tool" and item["id"] == answer.call for item in snapshot["items"]):
        raise Invalid(f"messages.{answer.place}.toolCallId", "no such call waits for an answer")


async def _say(door: Conversations, place: Place, words: Words, news: News, told: Told) -> None:
    with _named(words):
        receipt = await door.say(place.who, place.id, words.text, client_message_id=words.id, client_tools=news.tools)
    told.hear(words, receipt)


@contextmanager
def _named(words: Words) -> Iterator[None]:
    """What is wrong is named as the client calls it."""
    try:
        yield
    except Invalid as error:
        fields = {"text": f"messages.{words.place}.content", "client_message_id": f"messages.{words.place}.id"}
        raise Invalid(fields.get(error.field, error.field), error.aloud) from None


async def _goes_on(door: Conversations, place: Place, told: Told) -> bool:
    assert told.cursor is not None
    since = await door.history(place.who, place.id, told.cursor.seq, PAGE)
    return any(isinstance(i.event, TurnResumed) and i.event.turn == told.turn for i in since)


# ---- streaming it back


def _encoder(request: RunAgentInput, place: Place, *, turn: str | None, known: frozenset[str] = frozenset()) -> Encoder:
    return Encoder(
        request.thread_id,
        modern=request.protocol_version is not None,
        run=request.run_id,
        turn=turn,
        known=known,
        conversation=place.id,
    )


def _streamed(
    house: House, place: Place, encoder: Encoder, after: Cursor, opening: Callable[[], bytes]
) -> FeedResponse:
    stream = Stream(house.door.watch(place.who, place.id, after), encoder.farewell)
    return FeedResponse(house, place.who, stream, _frames(house.door, place, encoder, stream, opening()))


async def _frames(door: Conversations, place: Place, encoder: Encoder, stream: Stream, opening: bytes) -> Frames:
    yield opening
    while (item := await stream.next()) is not None:
        if isinstance(item, Logged) and encoder.drops(item):  # before the run ends, for after it nothing may follow
            yield encoder.messages(await _as_of(door, place, item.seq))
        frame = encoder.encode(item)
        if encoder.stale or encoder.discarded:
            frame += await _anew(door, place, encoder, item)
        if frame:
            yield frame
        if encoder.done:
            return
    yield encoder.farewell()


async def _anew(door: Conversations, place: Place, encoder: Encoder, item: Watched) -> bytes:
    """What a stock client can't work out from events: told whole, as of this event."""
    assert isinstance(item, Logged)
    snapshot = await _as_of(door, place, item.seq)
    frame = encoder.messages(snapshot) if encoder.discarded else b""
    return frame + (encoder.state(snapshot["state"]) if encoder.stale else b"")


async def _as_of(door: Conversations, place: Place, seq: int) -> snapshots.Snapshot:
    out = snapshots.empty(place.id)
    async for logged in _pages(door, place):
        if logged.seq > seq:
            break
        snapshots.fold(out, logged)
    return out


async def _pages(door: Conversations, place: Place) -> AsyncIterator[Logged]:
    after = 0
    while page := await door.history(place.who, place.id, after, PAGE):
        for logged in page:
            yield logged
        after = page[-1].seq


async def _over(door: Conversations, place: Place, encoder: Encoder) -> Response:
    """Nothing runs: a person has the floor, or the rest of what waits is still open."""
    return _whole(encoder.start() + encoder.ending(await door.snapshot(place.who, place.id)))


async def _refusal(door: Conversations, request: RunAgentInput, place: Place, conflict: Conflict) -> Response:
    """In the conversation's language, as all that its run says."""
    language = (await door.snapshot(place.who, place.id))["language"]
    encoder = _encoder(request, place, turn=None)
    return _whole(encoder.failure(conflict.code, said_in(language, conflict.aloud)))


def _whole(frames: bytes) -> Response:
    return Response(frames, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
