"""The widget's fold of a conversation is the server's: the same snapshots, event by event, from any of them on."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent_core import open_core
from agent_core import snapshot as snapshots
from agent_core.door import Principal
from agent_core.events import (
    TYPES,
    CustomerIdentified,
    DeliverableShown,
    FeedbackGiven,
    InterruptDecided,
    InterruptOpened,
    MessageFinished,
    Reset,
    TextDelta,
    TurnFinished,
    TurnResumed,
    TurnWaiting,
    Watched,
)
from agent_core.settings import DEMO_TEAM, Settings
from app import native
from app.repl.attach import DEVELOPER
from tests import peers
from tests.conftest import ANA, MAYA, OpenCore, Watch
from tests.owner import changed
from tests.scripted import Call, Fail, Hold
from tests.stage import play
from tests.test_agui import WHOLE, logged, spelled

WEB = Path(__file__).parent.parent / "web"
TRANSCRIPTS = {file.stem: file.read_text() for file in Path(__file__).with_name("transcripts").glob("*.txt")}
BUNDLE = (
    "import { build } from 'esbuild';"
    "await build({entryPoints: ['test/fold.ts'], outfile: process.argv[1], bundle: true, platform: 'node', format: 'esm',"
    " logLevel: 'error'});"
)
SECONDS = 60

Fold = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def fold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fold]:
    """`fold(start, watched, every=True)`: the snapshots that the widget has after each of them."""
    script = str(tmp_path_factory.mktemp("widget") / "fold.mjs")
    bundling = [peers.node(), "--input-type=module", "--eval", BUNDLE, script]
    subprocess.run(bundling, cwd=WEB, check=True, timeout=SECONDS)
    with subprocess.Popen([peers.node(), script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        read, write = running.stdout, running.stdin

        def ask(start: dict[str, Any], watched: list[Watched], *, every: bool = False) -> list[dict[str, Any]]:
            task = {"start": start, "watched": [native.to_dict(item) for item in watched], "every": every}
            write.write(json.dumps(task) + "\n")
            write.flush()
            out: list[dict[str, Any]] = json.loads(read.readline())
            return out

        yield ask
        write.close()


def folded(items: list[Watched]) -> list[dict[str, Any]]:
    """The server's snapshots after each of them, as they travel."""
    out, now = [], snapshots.empty("conv_1")
    for item in items:
        now = snapshots.fold_all(now, [item])
        out.append(json.loads(json.dumps(now)))
    return out


def same(fold: Fold, items: list[Watched], cuts: list[int]) -> None:
    ours = folded(items)
    assert fold(snapshots.empty("conv_1"), items, every=True) == ours
    for cut in cuts:
        assert fold(ours[cut], items[cut + 1 :]) == [ours[-1]]


@pytest.mark.parametrize("items", [logged(WHOLE), spelled(logged(WHOLE), 2)], ids=["replayed", "live"])
def test_a_conversation_with_everything_in_it_is_the_same_at_every_cut(fold: Fold, items: list[Watched]) -> None:
    same(fold, items, list(range(len(items) - 1)))


#: What can happen, and does not in that conversation.
BESIDE: list[dict[str, Any]] = [
    {"type": "customer.identified", "name": "Ana"},
    {"type": "customer.identified"},
    {"type": "setting.changed", "name": "model", "value": "small"},
    {"type": "setting.changed", "name": "model", "value": None},
    {"type": "usage.counted", "by": "analyst", "requests": 1, "input_tokens": 7, "cost_microdollars": 30},
    {"type": "usage.counted", "by": "analyst"},
    {"type": "mode.changed", "mode": "pipeline", "session": "vs_1"},
    {"type": "mode.changed", "mode": "text", "reason": "worker_lost", "aloud": "The line broke."},
]


def test_every_event_there_is_is_compared() -> None:
    assert {event.type for event in WHOLE} | {values["type"] for values in BESIDE} == set(TYPES)


@pytest.mark.parametrize("values", BESIDE)
def test_what_is_not_in_it_is_the_same_too(fold: Fold, values: dict[str, Any]) -> None:
    items = logged(WHOLE)
    same(fold, [*items, native.from_dict({"seq": len(items) + 1, "at": 1, **values})], [])


def test_what_was_changed_before_the_yes_is_the_same_and_is_what_the_call_says_it_did(fold: Fold) -> None:
    edited = InterruptDecided("int_1", "approved", '{"card":"7","note":"lost"}', "ana", "Lock 7, lost")
    items = logged([edited if isinstance(event, InterruptDecided) else event for event in WHOLE])
    same(fold, items, list(range(len(items) - 1)))
    told = [item for item in folded(items)[-1]["items"] if item.get("tool") == "lock"]
    assert [(item["kind"], item["arguments"], item["title"]) for item in told] == [
        ("tool", edited.arguments, edited.title),
        ("interrupt", edited.arguments, edited.title),
    ]


def test_a_reset_is_taken_as_it_is(fold: Fold) -> None:
    items = logged(WHOLE)
    reset = Reset(folded(items)[-1])
    assert fold(snapshots.empty("conv_1"), [*items[:4], reset]) == [reset.snapshot]


def test_text_beyond_the_first_plane_is_counted_as_the_server_does(fold: Fold) -> None:
    events = [event for event in WHOLE if event.type in ("conversation.started", "message.added", "turn.started")][:3]
    finished = next(event for event in WHOLE if isinstance(event, MessageFinished))
    text = "👋🏽 Grüße – 价格 €9 🇩🇪 👨‍👩‍👧 مرحبا"
    items = logged([*events, replace(finished, text=text)])
    for size in (1, 2, 5):
        same(fold, spelled(items, size), list(range(3, len(items))))


@pytest.mark.parametrize("name", sorted(TRANSCRIPTS))
async def test_a_played_conversation_is_the_same(fold: Fold, name: str, settings: Settings) -> None:
    demo = settings.model_copy(update={"team_file": DEMO_TEAM})
    async with open_core(demo) as door:
        await play(door, TRANSCRIPTS[name])
        conversation = (await door.list(DEVELOPER))[0].conversation
        fresh = json.loads(json.dumps(await door.snapshot(DEVELOPER, conversation)))
        history = await door.history(DEVELOPER, conversation)
    live = spelled([item for item in history if item.seq <= int(fresh["version"])], 7)
    same(fold, live, random.Random(name).sample(range(len(live) - 1), 8))
    assert fold(snapshots.empty(conversation), live) == [fresh]


# ---- as somebody saw it who was there


def choices(*labels: str) -> Call:
    options = [{"id": label.lower(), "label": label} for label in labels]
    return Call("displayChoices", {"question": "Which plan?", "options": options})


async def compared(fold: Fold, door: Any, conversation: str, seen: list[Watched]) -> None:
    """What was watched folds to the same at every cut, and in the end to what a new reader is given."""
    same(fold, seen, random.Random(len(seen)).sample(range(len(seen) - 1), min(12, len(seen) - 1)))
    fresh = await door.snapshot(DEVELOPER, conversation)
    assert fold(snapshots.empty(conversation), seen) == [json.loads(json.dumps(fresh))]


Watching = Callable[..., Watch]


async def turn_of(watch: Watch, kind: type, n: int) -> str:
    """The turn of the n-th event of this kind, when it comes."""

    def of_kind() -> list[Any]:
        return [event for event in watch.events if isinstance(event, kind)]

    await watch.until(lambda _: len(of_kind()) >= n)
    return str(of_kind()[n - 1].turn)


async def test_questions_that_are_answered_or_left_are_the_same(
    fold: Fold, core: OpenCore, watching: Watching, settings: Settings
) -> None:
    lock = Call("lock", {"card": "A-1", "note": "lost"})
    rule = {"approval": True, "editable": ["note"], "labels": {"card": "Your card"}, "values": {"card": {"A-1": "Red"}}}
    steps = ["One moment. ", lock], "Locked.", [lock], "No.", [lock], "What else?", [lock]
    async with core(*steps, team_file=changed(settings, tools={"lock": rule})) as door:
        conversation = await door.start(ANA)
        watch = watching(door, DEVELOPER, conversation)
        for n, decision in enumerate(("approve", "reject", None, "stop")):
            await door.say(ANA, conversation, f"Lock it, {n}", client_message_id=f"m{n}")
            opened = await watch.event(InterruptOpened, turn=await turn_of(watch, TurnWaiting, n + 1))
            if decision == "stop":
                await door.stop(ANA, conversation)
            elif decision == "approve":
                arguments = {"card": "A-1", "note": "stolen"}
                await door.decide(ANA, conversation, opened.interrupt, "approve", arguments=arguments)
            elif decision:
                await door.decide(ANA, conversation, opened.interrupt, "reject")
            else:
                await door.say(ANA, conversation, "Never mind", client_message_id="other")
            await turn_of(watch, TurnFinished, n + 1 + (n >= 2))
        await compared(fold, door, conversation, watch.seen)


async def test_cards_that_are_replaced_and_answered_are_the_same(
    fold: Fold, core: OpenCore, watching: Watching
) -> None:
    alert = Call("displayAlert", {"level": "info", "title": "Maintenance 🛠", "text": "Tonight"})
    steps = [[choices("A", "B"), alert], "Which?", [choices("B", "C")], "These, then.", "B it is."]
    async with core(*steps) as door:
        conversation = await door.start(ANA)
        watch = watching(door, DEVELOPER, conversation)
        for n in range(2):
            await door.say(ANA, conversation, f"Show me, {n}", client_message_id=f"m{n}")
            await turn_of(watch, TurnFinished, n + 1)
        card = await watch.event(DeliverableShown, version=2)
        await door.acknowledge(ANA, conversation, card.deliverable, 2)
        await door.decide_deliverable(ANA, conversation, card.deliverable, 2, "choose", {"chosen": ["b"]})
        await turn_of(watch, TurnFinished, 3)
        said = next(event for event in watch.events if isinstance(event, MessageFinished))
        await door.feedback(ANA, conversation, said.message, "down")
        await door.feedback(ANA, conversation, said.message, "up")
        await watch.event(FeedbackGiven, rating="up")
        await compared(fold, door, conversation, watch.seen)


async def test_people_who_come_and_go_and_turns_that_end_badly_are_the_same(
    fold: Fold, core: OpenCore, watching: Watching
) -> None:
    hold = Hold()
    steps = [
        ["Half an ", hold, "answer"],
        [Fail(RuntimeError("no model"))],
        [Call("transfer_to_expert")],
        "Expert here.",
    ]
    async with core(*steps) as door:
        conversation = await door.start(ANA)
        watch = watching(door, DEVELOPER, conversation)
        await door.say(ANA, conversation, "Hello?", client_message_id="m0")
        await watch.until(lambda item: isinstance(item, TextDelta))
        await door.say(ANA, conversation, "Still there?", client_message_id="queued")
        await door.take_floor(MAYA, conversation)
        hold.go.set()
        await door.reply(MAYA, conversation, "Maya here 👋", client_message_id="o1")
        await door.say(ANA, conversation, "Good", client_message_id="m1")
        await door.give_floor(MAYA, conversation)
        for n in range(2):
            await door.say(ANA, conversation, f"And now? {n}", client_message_id=f"n{n}")
            await turn_of(watch, TurnFinished, 3 + n)
        await door.configure(DEVELOPER, conversation, agent="lead", model="small")
        await door.hand_over(ANA, Principal("customer", "customer:demo:7", ANA.site, name="Ana B."))
        await watch.event(CustomerIdentified)
        await compared(fold, door, conversation, watch.seen)


def wreck(folder: Path) -> str:
    """The address of a copy of the database, as a kill would leave it."""
    for file in folder.glob("parley.db*"):
        if not file.name.endswith(".lock"):
            shutil.copy(file, folder / file.name.replace("parley", "wreck"))
    return f"sqlite:///{folder}/wreck.db"


async def test_an_answer_that_is_said_anew_after_a_crash_is_the_same(
    fold: Fold, core: OpenCore, watching: Watching, tmp_path: Path
) -> None:
    hold = Hold()
    async with core(["Half an 👋 ", hold, "answer."]) as door:
        conversation = await door.start(ANA)
        watch = watching(door, DEVELOPER, conversation)
        await door.say(ANA, conversation, "Hi", client_message_id="m1")
        delta = await watch.until(lambda item: isinstance(item, TextDelta) and item.text.endswith("👋 "))
        seen = watch.seen[: watch.seen.index(delta) + 1]
        address = wreck(tmp_path)
        hold.go.set()
    async with core("A whole answer.", database_url=address) as door:
        watch = watching(door, DEVELOPER, conversation, delta.cursor)
        await watch.event(TurnFinished)
        assert any(isinstance(event, TurnResumed) for event in watch.events)
        await compared(fold, door, conversation, [*seen, *watch.seen])
