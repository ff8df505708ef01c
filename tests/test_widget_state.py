"""The widget's fold of a conversation is the server's: the same snapshots, event by event, from any of them on."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent_core import open_core
from agent_core import snapshot as snapshots
from agent_core.events import TYPES, MessageFinished, Reset, Watched
from agent_core.settings import DEMO_TEAM, Settings
from app import native
from app.repl.attach import DEVELOPER
from tests import peers
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


def test_that_conversation_has_every_event_there_is_but_three() -> None:
    missing = set(TYPES) - {event.type for event in WHOLE}
    assert missing <= {"customer.identified", "setting.changed", "usage.counted"}


@pytest.mark.parametrize(
    "values",
    [
        {"type": "customer.identified", "name": "Ana"},
        {"type": "customer.identified"},
        {"type": "setting.changed", "name": "model", "value": "small"},
        {"type": "usage.counted", "by": "analyst", "requests": 1, "input_tokens": 7, "cost_microdollars": 30},
        {"type": "usage.counted", "by": "analyst"},
    ],
)
def test_what_is_not_in_it_is_the_same_too(fold: Fold, values: dict[str, Any]) -> None:
    items = logged(WHOLE)
    same(fold, [*items, native.from_dict({"seq": len(items) + 1, "at": 1, **values})], [])


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
