"""What the README says is so: its commands run, its examples work, its numbers are the program's."""

from __future__ import annotations

import asyncio
import importlib
import io
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from typer.testing import CliRunner

from agent_core import money, open_core
from agent_core.deliverables import DELIVERABLES, collect
from agent_core.events import DeliverableDecided, DeliverableShown, InterruptOpened, ToolFinished, TurnFinished
from agent_core.gateway import OUTPUT_BYTES
from agent_core.intake import MESSAGE_BYTES
from agent_core.settings import DEMO_TEAM, Settings
from agent_core.team import USUAL
from app.cli import app as cli
from app.entrance import BODY_BYTES, HISTORY_BYTES
from app.house import HEARTBEAT_SECONDS
from app.repl.entry import Options, Streams, talk
from app.repl.exit_codes import MEANINGS
from tests import peers
from tests.conftest import ANA, OpenCore
from tests.scripted import Call
from tests.wire import OPERATOR_TOKEN, Served, serving

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
#: What the README calls the server.
THERE = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Block:
    section: str
    language: str
    text: str


def _blocks() -> list[Block]:
    out, section, language, lines = [], "", None, []
    for line in README.splitlines():
        mark = re.match(r" *```(\w*)$", line)
        if mark and language is None:
            language, lines = mark[1], []
        elif mark:
            out.append(Block(section, language or "", "\n".join(lines) + "\n"))
            language = None
        elif language is not None:
            lines.append(line)
        elif line.startswith("## "):
            section = line[3:]
    return out


BLOCKS = _blocks()


def block(section: str, language: str) -> str:
    """All blocks of a section in this language, one after the other."""
    found = [b.text for b in BLOCKS if b.section == section and b.language == language]
    assert found, f"the README has no {language} in {section!r}"
    return "\n".join(found)


# ---- what it names is there


def test_every_link_and_picture_leads_to_a_file() -> None:
    named = [target for target in re.findall(r"\]\(([^)]+)\)", README) if not target.startswith("http")]
    assert named
    assert [target for target in named if not (ROOT / target).exists()] == []


def test_every_make_command_is_one() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake (?:[A-Z]+=\S+ )?([a-z]+)\b(?=[`\s])", re.sub(r"[^`\n]*\n", _commands, README)))
    assert {"run", "test", "bench", "crash"} <= named <= targets


def _commands(line: re.Match[str]) -> str:
    """Of prose only what is marked as code."""
    text = line[0]
    return text if re.match(r"(make|\w+=\S+ )", text) else "\n".join(re.findall(r"`[^`]*`", text)) + "\n"


def test_every_option_that_is_named_is_one() -> None:
    said = re.findall(r"parley (chat|serve|tools|doctor)\b([^\n`#]*)", README)
    for command in {command for command, _ in said}:
        help_ = [sys.executable, "-c", "from app.cli import main; main()", command, "--help"]
        ran = subprocess.run(help_, cwd=ROOT, capture_output=True, text=True)
        options = {option for c, rest in said if c == command for option in re.findall(r"(?<= )--?[a-z]+", rest)}
        known = set(re.findall(r"--?[a-z]+", ran.stdout))
        assert options <= known, command


def test_the_exit_codes_are_those_of_the_command() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", README, re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == MEANINGS


def test_the_limits_are_those_of_the_program() -> None:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    flat = " ".join(README.split())
    assert f"{MESSAGE_BYTES // 1024} KB a message" in flat
    assert f"{BODY_BYTES // 1024} KB a request ({HISTORY_BYTES // 1024**2} MB where AG-UI" in flat
    assert f"{OUTPUT_BYTES // 1024} KB of a tool's output" in flat
    assert f"{settings.max_active_turns} turns and {settings.max_streams:,} streams at once" in flat
    assert f"it beats every {HEARTBEAT_SECONDS:g}" in flat


def test_the_words_that_trouble_is_known_by_are_the_programs() -> None:
    """Looked up as they stand in the README, nobody should find nothing."""
    table = README.partition("| what you see |")[2].partition("\n## ")[0]
    said = [text for text in re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE) if " " in text]
    sources = "".join(path.read_text() for room in ("agent_core", "app") for path in (ROOT / room).rglob("*.py"))
    sources += (ROOT / "Makefile").read_text()
    for words in said:
        fixed = words.removesuffix("...").split(": ", 1)[-1].split("4711")[-1].strip()
        assert fixed in sources, words


# ---- the decisions


DECISIONS = sorted((ROOT / "agent_core" / "decisions").glob("*.md"))


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_says_why_and_names_the_code_and_the_tests_that_hold_it(path: Path) -> None:
    text = path.read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
        "Context", "Decision", "Consequences", "Alternatives", "References",
    ]  # fmt: skip
    references = text.partition("## References")[2]
    files = re.findall(r"\b(?:agent_core|app|tools|tests)/[\w/]+\.py", references)
    assert [name for name in files if not (ROOT / name).is_file()] == []
    tests = re.findall(r"(tests/\w+\.py)::(\w+)", references)
    assert tests
    assert [name for file, name in tests if f"def {name}(" not in (ROOT / file).read_text()] == []
    assert path.name in README


# ---- the files as they are committed


def test_no_committed_file_names_a_registry_or_a_place_on_one_machine() -> None:
    hosts = "py" + "pi.org|python" + "hosted|npm" + "js|/wo" + "rk/|/tm" + "p/w/"
    found = subprocess.run(["git", "grep", "-InE", hosts], cwd=ROOT, capture_output=True, text=True)
    if found.returncode not in (0, 1):
        pytest.skip("not a git checkout")
    assert found.stdout == ""


# ---- the conversation


async def test_the_conversation_is_held_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the command, as somebody has it who has just cloned: no settings, the demo model."""
    for name in os.environ:
        if name.startswith(("PARLEY_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "readme.txt").write_text(block("A conversation", ""))
    streams = Streams(io.StringIO(), io.StringIO(), io.StringIO())
    async with asyncio.timeout(40):
        code = await talk(Options(script=tmp_path / "readme.txt"), streams)
    assert (code, streams.stderr.getvalue()) == (0, "")  # type: ignore[attr-defined]


# ---- HTTP


def demo(folder: Path) -> Settings:
    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        database_url=f"sqlite:///{folder}/parley.db",
        tools_database=folder / "telecom.db",
        team_file=DEMO_TEAM,
        openai_api_key=None,
        openai_base_url=None,
        demo_pace_ms=0,
    )


async def ran(*command: str, served: Served, folder: Path, **more: str) -> str:
    """What the command writes, with the served address in the place of the README's."""
    words = [word.replace(THERE, served.address) for word in command]
    environment: Mapping[str, str] = {**os.environ, "PARLEY_OPERATOR_TOKEN": OPERATOR_TOKEN, "NO_PROXY": "*", **more}
    process = await asyncio.create_subprocess_exec(
        *words, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(45):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_the_curl_commands_hold_a_conversation(tmp_path: Path) -> None:
    settings = demo(tmp_path)
    script = block("Over HTTP", "bash").replace("--max-time 10", "--max-time 3") + "\necho; cat started.json"
    async with open_core(settings) as door, serving(settings, door) as served:
        out = await ran("bash", "-c", script, served=served, folder=tmp_path)
        (line,) = (await served.http.get("/operator/conversations", headers=served.operator)).json()["conversations"]
        history = await served.http.get(
            f"/operator/conversations/{line['conversation']}/history", headers=served.operator
        )
    people = {
        name for event in history.json()["events"] for name in (event.get("author"), event.get("operator")) if name
    }
    assert people == {"Maya"}
    assert '"token":' in out
    assert '"replayed":false' in out
    assert '"type":"message.finished"' in out
    assert '"type":"turn.finished"' in out
    assert '"cursor":' in out.partition('"type":"turn.finished"')[2]
    assert '"error"' not in out


@pytest.mark.node
@pytest.mark.timeout(peers.INSTALL_SECONDS + 60)
async def test_the_client_in_a_page_holds_a_conversation(tmp_path: Path) -> None:
    peers.install()
    (tmp_path / "page.mjs").write_text(block("Other clients", "js").replace(THERE, "THERE"))
    (tmp_path / "node_modules").symlink_to(peers.MODULES)
    settings = demo(tmp_path)
    async with open_core(settings) as door, serving(settings, door) as served:
        page = tmp_path / "page.mjs"
        page.write_text(page.read_text().replace("THERE", served.address))
        out = await ran(peers.node(), str(page), served=served, folder=tmp_path)
    assert len(out) > 40


async def test_a_backup_made_while_it_runs_is_whole(tmp_path: Path, core: OpenCore, settings: Settings) -> None:
    command = re.search(r"sqlite3 (\S+) \"(VACUUM INTO '(\S+)')\"", README)
    assert command is not None
    async with core("Gladly.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Keep this.", client_message_id="1")
        with closing(sqlite3.connect(tmp_path / "parley.db")) as other:
            other.execute(command[2].replace(command[3], str(tmp_path / command[3])))
    with closing(sqlite3.connect(tmp_path / command[3])) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = copy.execute("SELECT body FROM events WHERE conversation = ?", (conversation,)).fetchall()
    assert any("Keep this." in body for (body,) in kept)
    async with core("Gladly.") as door:
        await door.erase(ANA, conversation)
    (tmp_path / "parley.db-wal").unlink(missing_ok=True)
    (tmp_path / "parley.db-shm").unlink(missing_ok=True)
    (tmp_path / command[3]).replace(tmp_path / "parley.db")
    async with core() as door:
        assert "Keep this." in str(await door.snapshot(ANA, conversation))


async def test_the_owner_sees_what_to_watch(core: OpenCore, settings: Settings) -> None:
    async with core() as door, serving(settings, door) as served, aiohttp.ClientSession(served.address) as http:
        paths = re.findall(r"`(?:GET )?(/livez|/readyz|/desk)`", README.partition("**What to watch.**")[2])
        assert {"/livez", "/readyz", "/desk"} == set(paths)
        for path in set(paths):
            answer = await http.get(path, headers={"Authorization": f"Bearer {OPERATOR_TOKEN}"})
            assert answer.status == 200, path
            if path == "/desk":
                assert (await answer.json())["servers"]["shop"]["state"] == "ready"


def test_the_commands_for_a_customers_data_are_there() -> None:
    help_ = CliRunner().invoke(cli, ["customers", "--help"]).output
    for command in re.findall(r"parley\s+customers (\w+) shop", README):
        assert command in help_


# ---- a tool, an agent, a deliverable


async def test_the_commands_of_a_team_draft_publish_and_take_back(tmp_path: Path) -> None:
    settings = demo(tmp_path)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PARLEY_", "OPENAI_"))}
    environment |= {"PARLEY_DATABASE_URL": settings.database_url, "PATH": f"{Path(sys.executable).parent}:{os.defpath}"}
    show, draft, publish, rollback = block("A tool, and an agent", "bash").splitlines()

    async def run(command: str) -> str:
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", command, cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(50):
            out, _ = await process.communicate()
        assert process.returncode == 0, out.decode()
        return out.decode()

    async with open_core(settings) as door:  # they run beside a server
        await run(show)
        written = tmp_path / "next.yaml"
        written.write_text(written.read_text().replace("label: Cobalt Mobile", "label: Cobalt Tomorrow"))
        told = await run(draft)
        assert "+label: Cobalt Tomorrow" in told
        await run(re.sub(r"\b[0-9a-f]{12}\b", told.split()[-1], publish))
        await door._shop.teams.refresh()
        assert door.reception().team == "Cobalt Tomorrow"
        assert "Version 3 of cobalt answers" in await run(rollback)


@pytest.fixture
def shop_of_the_readme(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Its three files, as somebody would add them."""
    tool, team = block("A tool, and an agent", "python"), block("A tool, and an agent", "yaml")
    (tmp_path / "readme_shop.py").write_text(tool)
    (tmp_path / "readme_kinds").mkdir()
    (tmp_path / "readme_kinds" / "callback.py").write_text(block("A deliverable", "python"))
    (tmp_path / "shop.yaml").write_text(team.replace("tools.shop:", "readme_shop:"))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    for name, kind in collect("readme_kinds", [str(tmp_path / "readme_kinds")]).items():
        monkeypatch.setitem(DELIVERABLES, name, kind)
    return settings.model_copy(update={"team_file": tmp_path / "shop.yaml"})


async def test_the_tool_runs_after_a_yes_and_the_deliverable_is_decided(
    core: OpenCore, watching: Any, shop_of_the_readme: Settings
) -> None:
    reserve = Call("reserve", {"article": "apples", "pieces": 3})
    show = Call("displayCallback", {"about": "Your apples", "times": ["Monday 10:00", "Monday 17:00"]})
    steps = [reserve], [show], "Pick a time.", "See you on Monday."
    async with core(*steps, team_file=shop_of_the_readme.team_file) as door:
        conversation = await door.start(ANA)
        watch = watching(door, ANA, conversation)
        await door.say(ANA, conversation, "Keep me two apples.", client_message_id="1")
        asked = await watch.event(InterruptOpened)
        assert (asked.title, asked.editable) == ("Reserving apples", ("pieces",))
        await door.decide(ANA, conversation, asked.interrupt, "approve")
        assert (await watch.event(ToolFinished, status="ok")).output.find("3 apples put aside") >= 0
        shown = await watch.event(DeliverableShown)
        assert shown.payload["hours"] == "9:00 to 18:00"
        await watch.event(TurnFinished)
        answer = {"time": "Monday 17:00"}
        await door.decide_deliverable(ANA, conversation, shown.deliverable, shown.version, "pick", answer)
        decided = await watch.event(DeliverableDecided)
        assert decided.note == "[The customer wants to be called: Monday 17:00.]"


async def test_without_a_key_the_tools_are_called_by_order_and_guardrails_hold(
    watching: Any, shop_of_the_readme: Settings
) -> None:
    orders = re.findall(r"`(!tool [^`]+)`", README)
    said = [*orders, "Charge 4111111111111111"]
    answers = []
    async with open_core(shop_of_the_readme) as door:
        for order in said:
            conversation = await door.start(ANA)
            await door.say(ANA, conversation, order, client_message_id="1")
            await watching(door, ANA, conversation).event(TurnFinished)
            answers.append((await door.snapshot(ANA, conversation))["items"])
    hours, handoff, refused = ["\n".join(item.get("text", "") for item in items) for items in answers]
    assert "9:00 to 18:00" in hours
    assert "buyer" in handoff
    assert refused.endswith("No card numbers here, please.")


async def test_a_transcript_of_orders_is_a_test_of_ones_own_tools(
    shop_of_the_readme: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("PARLEY_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PARLEY_TEAM_FILE", str(shop_of_the_readme.team_file))
    monkeypatch.setenv("PARLEY_DATABASE_URL", shop_of_the_readme.database_url)
    written = block("A tool, and an agent", "")
    for text, code in ((written, 0), (written.replace('"pieces": 3} = ok', '"pieces": 4} = ok'), 1)):
        (tmp_path / "shop.txt").write_text(text)
        streams = Streams(io.StringIO(), io.StringIO(), io.StringIO())
        async with asyncio.timeout(60):
            assert await talk(Options(script=tmp_path / "shop.txt"), streams) == code, streams.stderr.getvalue()  # type: ignore[attr-defined]


def test_a_rule_and_an_amount_are_as_the_readme_has_them() -> None:
    flat = " ".join(README.split())
    assert f"A tool has {USUAL.timeout:g} seconds, or its `timeout`" in flat
    (sum_,) = re.findall(r"`amount\((\d+), \"EUR\", language\)`", flat)
    assert money.amount(int(sum_), "EUR", "en") == "€129.00"
    demo = yaml.safe_load(DEMO_TEAM.read_text(encoding="utf-8"))
    assert {"rules", "analyst"} <= set(demo)
    assert demo["tools"]["place_order"]["covered_by"] == "displayOffer"
    assert demo["tools"]["place_order"]["of"] == "offer_id"


def test_the_backup_by_python_is_one(tmp_path: Path) -> None:
    (program,) = re.findall(r'exec parley python -c\s+"([^"]+)"', README)
    (tmp_path / "var").mkdir()
    with closing(sqlite3.connect(tmp_path / "var" / "parley.db")) as database:
        database.execute("CREATE TABLE kept AS SELECT 7 AS seven")
        database.commit()
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=60)
    with closing(sqlite3.connect(tmp_path / "var" / "backup.db")) as copy:
        assert copy.execute("SELECT seven FROM kept").fetchone() == (7,)


# ---- the page


@pytest.mark.parametrize(("language", "file"), [("python", "identity.py"), ("js", "identity.mjs")])
def test_the_examples_of_signing_in_are_the_ones_that_the_suite_runs(language: str, file: str) -> None:
    assert (ROOT / "tests" / "hosts" / file).read_text() in block("On your page", language)


def test_the_loader_takes_the_calls_that_are_named() -> None:
    loader = (ROOT / "web" / "src" / "loader.ts").read_text()
    named = re.search(r'parley\("open"\); // ([a-z, ]+)', README)
    assert named
    for call in named[1].split(", "):
        assert f'case "{call}":' in loader, call
