"""The command: quick help, one clear line for a wrong setting, and the exit codes that a shell sees."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent_core import open_core
from agent_core.errors import SetupError
from agent_core.settings import read_settings
from app.repl.entry import Options, Streams, talk
from app.repl.transcript import BadTranscript
from tests.conftest import ANA, TEAM
from tests.fake_openai import Answer, FakeOpenAI, Refuse, ToolCall

pytestmark = pytest.mark.timeout(180)  # each start of the command loads all of it

HEAVY = (
    "agents",
    "openai",
    "mcp",
    "fastapi",
    "sqlalchemy",
    "pydantic_settings",
    "prompt_toolkit",
    "rich",
    "uvicorn",
)

#: With Ctrl-C as at a terminal: who is started in the background of a script, as this suite may be, is to ignore it.
COMMAND = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from app.cli import main; main()"


@dataclass
class Ran:
    code: int
    out: str
    err: str


@dataclass
class Parley:
    """The command in a folder of its own, against a fake provider."""

    folder: Path
    fake: FakeOpenAI

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PARLEY_", "OPENAI_"))},
            "PYTHONPATH": str(Path(__file__).parent.parent),
            "XDG_STATE_HOME": str(self.folder),
            "OPENAI_BASE_URL": self.fake.url,
            "OPENAI_API_KEY": self.fake.key,
            "PARLEY_MODEL": "gpt-fake",
            "PARLEY_TEAM_FILE": str(self.folder / "team.yaml"),
            "PARLEY_DATABASE_URL": f"sqlite:///{self.folder}/parley.db",
        }

    async def chat(self, options: Options, stdin: str = "") -> Ran:
        """As the command does it, in this process."""
        streams = Streams(io.StringIO(stdin), io.StringIO(), io.StringIO())
        async with asyncio.timeout(60):
            code = await talk(options, streams)
        return Ran(code, streams.stdout.getvalue(), streams.stderr.getvalue())  # type: ignore[attr-defined]

    async def start(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-c", COMMAND, *arguments,
            cwd=self.folder, env={**self.environment, **environment},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def run(self, *arguments: str, stdin: str = "", **environment: str) -> Ran:
        process = await self.start(*arguments, **environment)
        async with asyncio.timeout(90):
            out, err = await process.communicate(stdin.encode())
        return Ran(process.returncode or 0, out.decode(), err.decode())


@pytest.fixture
async def parley(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: object) -> AsyncIterator[Parley]:
    (tmp_path / "team.yaml").write_text(TEAM.replace("\\\\\\\\", "\\\\"))
    async with FakeOpenAI() as fake:
        here = Parley(tmp_path, fake)
        for name, value in here.environment.items():
            monkeypatch.setenv(name, value)
        yield here


async def test_help_imports_nothing_heavy(parley):
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom app.cli import app\n"
        "for words in (['--help'], ['chat', '--help'], ['doctor', '--help'], ['serve', '--help'], ['sites', 'add', '--help']):\n"
        "    assert CliRunner().invoke(app, words).exit_code == 0, words\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=parley.environment, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out.decode().strip() == "[]"


async def test_help_names_every_command_and_the_exit_codes(parley):
    ran = await parley.run("--help")
    assert ran.code == 0
    for name in ("serve", "chat", "tools", "doctor", "sites", "version"):
        assert f"  {name} " in ran.out
    assert "130 interrupted" in (await parley.run("chat", "--help")).out


@pytest.mark.parametrize("group", ["", "sites", "customers", "teams", "pins", "gate"])
async def test_help_says_in_a_whole_line_what_each_command_does(parley, group):
    ran = await parley.run(*filter(None, [group, "--help"]))
    commands = ran.out.partition("Commands:")[2].strip().splitlines()
    assert len(commands) > 1
    assert [line for line in commands if line.endswith("...")] == []


async def test_both_ways_to_ask_for_the_version_are_answered(parley):
    asked, named = await parley.run("--version"), await parley.run("version")
    assert (asked.code, asked.out) == (named.code, named.out)
    assert re.fullmatch(r"parley \d+\.\d+\.\d+\n", asked.out)


@pytest.mark.parametrize("command", [["serve"], ["chat", "-p", "Hi"]])
async def test_a_wrong_setting_is_one_line_that_names_it(parley, command):
    ran = await parley.run(*command, PARLEY_PORT="no number")
    assert ran.code == 2
    assert ran.err.startswith("parley: PARLEY_PORT: ")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("command", [["serve"], ["chat", "-p", "Hi"]])
async def test_a_database_that_can_not_be_made_is_one_line_that_names_it(parley, command):
    ran = await parley.run(*command, PARLEY_PORT="0", PARLEY_DATABASE_URL=f"sqlite:///{parley.folder}/team.yaml/p.db")
    assert ran.code == 2
    assert ran.err.startswith("parley: PARLEY_DATABASE_URL: ")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("server", ["http://127.0.0.1:9", "localhost"])
async def test_a_server_that_can_not_be_reached_is_said_to_be(parley, server):
    with pytest.raises(SetupError, match=f"^--server: the server at {server} can't be reached: "):
        await parley.chat(Options(server=server, prompt="Hi"))


EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31mred\u202e"


def harmless(text: str) -> bool:
    return "owned" in text and not set(text) & set("\x1b\x07\x9b\u202e")


@asynccontextmanager
async def answering(answer: Callable[[str, Any], tuple[int, Any]]) -> AsyncIterator[str]:
    """The address of a server that answers a request, its method and its body, with a status and what is said."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"content-length: *(\d+)", head, re.IGNORECASE)
        asked = json.loads(await reader.readexactly(int(length[1])) if length else b"null")
        status, said = answer(head.partition(" ")[0], asked)
        body = json.dumps(said).encode()
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
        writer.write(f"HTTP/1.1 {status} So\r\n{kind}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_what_a_tool_server_writes_of_its_failure_cannot_command_the_terminal(parley):
    def refuse(_method: str, asked: Any) -> tuple[int, Any]:
        return 200, {"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32603, "message": EVIL}}

    async with answering(refuse) as address:
        (parley.folder / "evil.yaml").write_text(
            f"{{name: e, label: Evil, start: a, servers: [{{name: far, url: '{address}/mcp'}}], "
            "agents: [{name: a, description: A., instructions: B.}]}"
        )
        ran = await parley.run("doctor", PARLEY_TEAM_FILE="evil.yaml")
    assert harmless(ran.out)
    assert harmless(ran.err)


@pytest.mark.parametrize("listing", [200, 500])
async def test_what_another_server_refuses_with_cannot_command_the_terminal(parley, listing):
    def refuse(method: str, _asked: Any) -> tuple[int, Any]:
        error = {"error": {"message": EVIL}}
        return (listing, {"conversations": [], **error}) if method == "GET" else (400, error)

    async with answering(refuse) as address:
        ran = await parley.run("chat", "--server", address, "-p", "Hi", PARLEY_SERVICE_TOKEN="s" * 32)
    assert ran.code != 0
    assert harmless(ran.err)


async def test_once_answers_and_leaves(parley):
    parley.fake.script(Answer("Hello ", "there."))
    ran = await parley.run("chat", "-p", "Hi")
    assert (ran.code, ran.out) == (0, "Hello there.\n")
    assert "in all" in ran.err


async def test_a_proxy_of_a_kind_that_the_sdk_can_not_use_is_in_nobodys_way(parley):
    parley.fake.script(Answer("Hello."))
    ran = await parley.run("chat", "-p", "Hi", ALL_PROXY="socks5://127.0.0.1:9")
    assert (ran.code, ran.out) == (0, "Hello.\n")


async def test_once_reads_from_standard_input_and_goes_on_with_the_last_conversation(parley):
    parley.fake.script(Answer("One."), Answer("Two."))
    assert (await parley.chat(Options(prompt="-"), "A long question\nin two lines\n")).out == "One.\n"
    ran = await parley.chat(Options(last=True, prompt="And?", json=True))
    types = [json.loads(line)["type"] for line in ran.out.splitlines()]
    assert types[0] == "message.added"
    assert types[-1] == "turn.finished"
    assert "A long question\\nin two lines" in json.dumps(parley.fake.seen[-1].body)


async def test_a_pipe_of_lines_prints_a_transcript(parley):
    parley.fake.script(Answer("One."), Answer("Two."))
    ran = await parley.chat(Options(), "Hi\nAnd?\n")
    told = [line for line in ran.out.splitlines() if not line.startswith("#")]
    assert told == ["you   > Hi", "agent > One.", "you   > And?", "agent > Two."]


async def test_a_script_is_recorded_replayed_and_judged(parley):
    calls = (Answer(ToolCall("lookup", '{"q": "x"}')), Answer("It is 42."))
    parley.fake.script(*calls, *calls, calls[0], Answer("It is 43."))
    script, record = parley.folder / "s.txt", parley.folder / "r.txt"
    script.write_text("you > Hi\ntool > lookup {...} = ok\nagent > ~ 42\n")
    assert (await parley.chat(Options(script=script, record=record))).code == 0
    assert record.read_text() == 'you   > Hi\ntool  > lookup {"q": "x"} = ok\nagent > It is 42.\n'
    assert (await parley.chat(Options(script=record))).code == 0
    failed = await parley.chat(Options(script=record))
    assert failed.code == 1
    assert "- agent > It is 42.\n+ agent > It is 43.\n" in failed.err


async def test_a_provider_that_refuses_is_exit_code_3(parley):
    parley.fake.forever(Refuse(401, "invalid_api_key", "no"))
    ran = await parley.chat(Options(prompt="Hi"))
    assert ran.code == 3
    assert "ends  > failed: model_misconfigured" in ran.err
    assert "# parley doctor asks the model, and says what it answers\n" in ran.err


async def test_a_conversation_that_is_not_there_is_a_mistake_of_the_caller(parley):
    ran = await parley.chat(Options(prompt="Hi", resume="conv_" + "0" * 32))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "parley: There is no such thing here. (conv_00000000000000000000000000000000)\n"
    assert "There is no conversation of yours" in (await parley.chat(Options(prompt="Hi", last=True))).err


async def test_agent_model_and_language_are_chosen_at_the_start(parley):
    parley.fake.script(Answer("Guten Tag."))
    ran = await parley.chat(Options(agent="expert", model="gpt-other", language="de"), "Hallo\n/state\n")
    assert '"agent": "expert"' in ran.out
    assert '"language": "de"' in ran.out
    assert parley.fake.seen[-1].body["model"] == "gpt-other"


async def test_the_last_conversation_goes_on_with_another_agent(parley):
    parley.fake.script(Answer("One."))
    await parley.chat(Options(prompt="Hi"))
    status = await parley.chat(Options(last=True, agent="expert"), "/status\n")
    assert "# agent         expert" in status.out


async def test_no_option_changes_a_customers_conversation(parley):
    async with open_core(read_settings()) as door:
        conversation = await door.start(ANA)
    for option in ({"model": "other"}, {"agent": "expert"}):
        ran = await parley.chat(Options(resume=conversation, prompt="/status", **option))
        assert (ran.code, ran.out) == (2, "")
        assert "This is a customer's conversation" in ran.err
    async with open_core(read_settings()) as door:
        snapshot = await door.snapshot(ANA, conversation)
    assert (snapshot["model"], snapshot["agent"]) == (None, "lead")


async def test_a_script_that_is_no_transcript_is_refused_before_anything_starts(parley):
    (parley.folder / "s.txt").write_text("hello\n")
    with pytest.raises(BadTranscript, match="line 1"):
        await parley.chat(Options(script=parley.folder / "s.txt"))
    (parley.folder / "s.txt").write_text("# a comment alone\n")
    with pytest.raises(BadTranscript, match="nothing is said in it"):
        await parley.chat(Options(script=parley.folder / "s.txt"))
    ran = await parley.run("chat", "--script", str(parley.folder / "none.txt"))
    assert ran.code == 2
    assert "none.txt can't be read" in ran.err


async def test_ways_that_do_not_go_together_are_refused(parley):
    assert (await parley.run("chat", "-c", "--fork", "conv_1")).code == 2
    assert (await parley.run("chat", "-p", "Hi", "--script", "s.txt")).code == 2
    told = await parley.run("chat", "-c", "--language", "de")
    assert (told.code, "--language do not go together" in told.err) == (2, True)


async def test_ctrl_c_keeps_what_was_said_and_is_exit_code_130(parley):
    parley.fake.script(Answer("We open ", *["at nine "] * 200, pace=0.05))
    process = await parley.start("chat", "--json", "-p", "When?")
    assert process.stdout is not None
    async with asyncio.timeout(90):
        while b"text.delta" not in await process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        await process.communicate()
    assert process.returncode == 130
    history = await parley.chat(Options(last=True), "/history\n")
    assert "agent > We open" in history.out
    assert "ends  > stopped" in history.out


async def test_a_second_process_attaches_to_the_server_that_holds_the_database(parley, monkeypatch):
    parley.fake.script(Answer("Hello from the server."))
    server = await parley.start("serve", PARLEY_PORT="0")
    assert server.stdout is not None
    try:
        async with asyncio.timeout(90):
            address = (await server.stdout.readline()).decode().split()[-1]
        ran = await parley.run("chat", "-p", "Hi")
        assert (ran.code, ran.out) == (0, "Hello from the server.\n")
        status = await parley.chat(Options(server=address), "/status\n")
        assert "# team          The Shop" in status.out
        monkeypatch.setenv("PARLEY_SERVICE_TOKEN", "a word of somewhere else")
        with pytest.raises(SetupError, match="PARLEY_SERVICE_TOKEN"):
            await parley.chat(Options(server=address, prompt="Hi"))
        second = await parley.run("serve", PARLEY_PORT="0")
        assert second.code == 2
        assert second.err.startswith(f"parley: PARLEY_DATABASE_URL: process {server.pid} is already serving")
        assert second.err.count("\n") == 1
        doctor = await parley.run("doctor")
        assert f"is served by process {server.pid} at {address}" in doctor.out
        assert doctor.code == 0
    finally:
        server.terminate()
        await server.wait()


async def test_a_database_in_the_hands_of_another_repl_is_refused_with_what_to_do(parley, core):
    async with core():
        with pytest.raises(
            SetupError, match=rf"process {os.getpid()} has the database.* and run parley serve, to which"
        ):
            await parley.chat(Options(prompt="Hi"))


async def test_the_demo_business_runs_as_a_server_of_its_own(parley):
    ran = await parley.run("tools", "--help")
    assert ran.code == 0
    assert "--stdio" in ran.out
    assert (await parley.run("tools")).code == 2


async def test_where_to_serve_may_be_said_on_the_command_line(parley):
    server = await parley.start("serve", "--host", "127.0.0.1", "--port", "0", PARLEY_HOST="192.0.2.1", PARLEY_PORT="1")
    assert server.stdout is not None
    try:
        async with asyncio.timeout(90):
            said = (await server.stdout.readline()).decode()
        assert said.startswith("Parley is ready: http://127.0.0.1:")
    finally:
        server.terminate()
        await server.wait()


async def test_a_server_with_a_team_of_ones_own_names_its_chat_and_says_that_no_model_is_set(parley):
    (parley.folder / "inn.yaml").write_text(
        "{name: inn, label: The Inn, start: a, agents: [{name: a, description: A., instructions: B.}]}"
    )
    no_model = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}
    server = await parley.start("serve", "--port", "0", PARLEY_TEAM_FILE="inn.yaml", **no_model)
    assert server.stdout is not None
    try:
        async with asyncio.timeout(90):
            said = [(await server.stdout.readline()).decode() for _ in range(3)]
        address = said[0].removeprefix("Parley is ready: ").strip()
        assert said[1] == f"The chat alone:  {address}/widget/demo?mode=page\n"
        assert said[2].startswith("No model is set: a demo without lines for this team answers")
    finally:
        server.terminate()
        await server.wait()


async def test_what_goes_wrong_in_the_server_is_a_line_of_its_log(parley):
    (parley.folder / "away.yaml").write_text(
        "{name: away, label: Away, start: a, servers: [{name: far, url: 'http://127.0.0.1:9/mcp'}, "
        "{name: shop, python: 'tests.shop:create_server'}], agents: [{name: a, description: A., instructions: B.}]}"
    )
    server = await parley.start("serve", "--port", "0", PARLEY_TEAM_FILE="away.yaml")
    assert server.stderr is not None
    try:
        async with asyncio.timeout(90):
            said = (await server.stderr.readline()).decode()
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ WARNING parley\.tools\.far: .*no connection", said), said
    finally:
        server.terminate()
        await server.wait()
