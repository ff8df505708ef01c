"""Many conversations at once on a real server process, durability on: how late is each word, how soon an acknowledgement?

python -m tests.bench streams [--streams 200] [--rate 20] [--seconds 60]
python -m tests.bench overload          three times as many: who is refused comes back, who was accepted is answered

Each visitor holds a feed open and takes turns back to back. Exits with 1 when a target is missed or a word is lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.bench.target import ROOT, describe

WORDS = 60
DELTA_MS, ACK_MS = 50, 100
#: Half of it for the streams, as a server of this size would be set up.
MAX_TURNS = 400
_WORD = re.compile(r"(\d+)@(\d+) ")


@dataclass
class Tally:
    """Milliseconds, and counts."""

    late: list[float] = field(default_factory=list)
    acks: list[float] = field(default_factory=list)
    turns: int = 0
    refused: int = 0
    lost: int = 0


@asynccontextmanager
async def _process(*command: str, **env: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command, env=os.environ | env, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout
        async with asyncio.timeout(30):
            while b"ready" not in await process.stdout.readline():
                pass
        yield process
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def serving(folder: str) -> AsyncIterator[tuple[str, int]]:
    """The address of a fresh server, and its pid."""
    upstream, port = _free_port(), _free_port()
    env = {k: v.format(port=port, data=folder) for k, v in describe()["env"].items()}
    env |= {"OPENAI_BASE_URL": f"http://127.0.0.1:{upstream}/v1", "OPENAI_API_KEY": "sk-bench"}
    env |= {"PARLEY_MAX_ACTIVE_TURNS": str(MAX_TURNS)}
    parley = str(Path(sys.executable).with_name("parley"))
    async with (
        _process(sys.executable, "-m", "tests.bench.upstream", str(upstream)),
        _process(parley, "serve", **env) as server,
    ):
        yield f"http://127.0.0.1:{port}", server.pid


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def visit(http: aiohttp.ClientSession, tally: Tally, rate: int, until: float, delay: float) -> None:
    await asyncio.sleep(delay)
    async with http.post("/conversations", json={}) as answer:
        who = await answer.json()
    headers = {"Authorization": f"Bearer {who['token']}"}
    place = f"/conversations/{who['conversation']}"
    async with http.get(f"{place}/events?format=parley", headers=headers) as feed:
        turn = 0
        while time.monotonic() < until:
            turn += 1
            body = {"client_message_id": f"m{turn}", "text": f"[words={WORDS} pace={1000 // rate}]"}
            await _say(http, tally, f"{place}/messages", body, headers)
            await _hear(feed, tally)


async def _say(http: aiohttp.ClientSession, tally: Tally, path: str, body: dict[str, str], headers: dict[str, str]) -> None:
    """Until it is accepted; a refusal says when to come back."""
    while True:
        began = time.monotonic()
        async with http.post(path, json=body, headers=headers) as answer:
            if answer.status == 202:
                tally.acks.append((time.monotonic() - began) * 1000)
                return
            assert answer.status in (429, 503), await answer.text()
            tally.refused += 1
            wait = float(answer.headers["Retry-After"])
        await asyncio.sleep(wait)


async def _hear(feed: aiohttp.ClientResponse, tally: Tally) -> None:
    """One turn to its end: each word in its place, and how late it came."""
    heard, held = 0, ""
    async for line in feed.content:
        if not line.startswith(b'data: {"seq"'):
            continue
        now, event = time.monotonic_ns() // 1000, json.loads(line[6:])
        if event["type"] == "text.delta":
            held += event["text"]
            *_, rest = held.rpartition(" ")
            for number, written in _WORD.findall(held):
                tally.lost += int(number) != heard
                heard += 1
                tally.late.append((now - int(written)) / 1000)
            held = rest
        elif event["type"] == "turn.finished":
            tally.turns += 1
            tally.lost += WORDS - heard
            return


def _at(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def _resources(pid: int) -> tuple[float, float]:
    """(CPU seconds so far, MB resident) of the server."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def measure(streams: int, rate: int, seconds: float) -> bool:
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="parley-streams-") as folder:
        async with serving(folder) as (address, pid):
            timeout, connector = aiohttp.ClientTimeout(total=None), aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(address, timeout=timeout, connector=connector) as http:
                until = time.monotonic() + seconds
                spread = WORDS / rate / streams
                began, before = time.monotonic(), _resources(pid)[0]
                await asyncio.gather(*(visit(http, tally, rate, until, n * spread) for n in range(streams)))
                wall = time.monotonic() - began
                cpu, rss = _resources(pid)
    good = _at(tally.late, 0.95) <= DELTA_MS and _at(tally.acks, 0.95) <= ACK_MS and not tally.lost
    print(f"{streams} streams at {rate} words/s for {wall:.0f} s, load average {os.getloadavg()[0]:.1f}")
    for name, values in (("a word's lateness, ms", tally.late), ("acknowledgement, ms", tally.acks)):
        print(f"  {name:24} p50 {_at(values, 0.5):7.1f}  p95 {_at(values, 0.95):7.1f}  p99 {_at(values, 0.99):7.1f}")
    print(f"  {tally.turns} turns, {len(tally.late)} words, {tally.lost} lost, {tally.refused} refusals")
    print(f"  server: {(cpu - before) / wall:.2f} cores, {rss:.0f} MB")
    return good if streams <= MAX_TURNS else not tally.lost


def main(*arguments: str) -> None:
    options = argparse.ArgumentParser(prog="python -m tests.bench streams")
    options.add_argument("--streams", type=int, default=200)
    options.add_argument("--rate", type=int, default=20)
    options.add_argument("--seconds", type=float, default=60)
    chosen = options.parse_args(arguments)
    import uvloop

    sys.exit(0 if uvloop.run(measure(chosen.streams, chosen.rate, chosen.seconds)) else 1)
