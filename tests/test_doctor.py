"""The doctor says in words what is wrong and what to do, and changes nothing."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from agent_core.errors import SetupError
from agent_core.settings import DEMO_TEAM, Settings, read_settings
from app import doctor
from app.doctor import FAILING, SETUP, WELL, Finding, examine, exit_code
from tests.fake_openai import FakeOpenAI, HangUp, Refuse
from tests.owner import changed


async def examined(settings: Settings, **environment: str) -> dict[str, Finding]:
    return {finding.subject: finding async for finding in examine(environment, settings)}


def real(settings: Settings, fake: FakeOpenAI, **changes: Any) -> Settings:
    values = {"openai_base_url": fake.url, "openai_api_key": SecretStr(fake.key), "model": "gpt-fake"} | changes
    return settings.model_copy(update=values)


async def test_a_fresh_clone_is_well_and_is_told_that_the_model_is_a_demo(settings, tmp_path):
    before = sorted(tmp_path.iterdir())
    found = await examined(settings)
    assert exit_code(list(found.values())) == WELL
    assert (found["model"].level, "!tool" in found["model"].text) == (
        "warning",
        True,
    )  # with a team that is not its own
    assert "demo" in found["model"].text
    assert "OPENAI_API_KEY" in found["model"].todo
    assert "will be made" in found["database"].text
    assert found["tool server shop"].text.endswith(" tools")
    assert sorted(tmp_path.iterdir()) == before


async def test_the_demos_model_is_well_with_the_demos_team(settings):
    found = await examined(settings.model_copy(update={"team_file": DEMO_TEAM}))
    assert (found["model"].level, "!tool" in found["model"].text) == ("ok", False)


@pytest.mark.parametrize(("status", "todo"), [("401 Unauthorized", "another key"), ("404 Not Found", "start it, or")])
async def test_a_tool_server_that_wants_another_key_is_told_from_one_that_is_down(settings, status, todo):
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
        file = changed(settings, servers=[{"name": "stock", "url": url, "headers": {"Authorization": "Bearer old"}}])
        found = await examined(settings.model_copy(update={"team_file": file}))
    assert found["tool server stock"].level == "failing"
    assert todo in found["tool server stock"].todo


async def test_a_misspelt_setting_is_noticed(settings):
    found = await examined(settings, PARLEY_OPERATOR_TOKN="x", PARLEY_PORT="8000", HOME="/")
    assert found["configuration"].level == "warning"
    assert found["configuration"].todo == "did you mean PARLEY_OPERATOR_TOKEN?"


def test_a_misspelt_setting_in_the_env_file_is_noticed(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("PARLEY_OPERATOR_TOKN=x\n")
    doctor.main()
    assert "did you mean PARLEY_OPERATOR_TOKEN?" in capsys.readouterr().out


async def test_a_wrong_setting_is_named_and_nothing_else_is_tried(monkeypatch):
    monkeypatch.setenv("PARLEY_PORT", "no number")
    (finding,) = [finding async for finding in examine({})]
    assert finding.level == "setup"
    assert "PARLEY_PORT" in finding.text
    assert exit_code([finding]) == SETUP


async def test_a_running_server_is_named_with_its_process_and_address(settings, core):
    async with core():
        found = await examined(settings)
        assert "is served by process" in found["database"].text
        assert found["database"].level == "ok"


async def test_a_file_left_behind_by_a_dead_server_is_no_server(settings, core):
    async with core():
        pass
    found = await examined(settings)
    assert "writable" in found["database"].text


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"this is no database, but it is long enough to be one" * 40, "can't be used"), (None, "damaged")],
)
async def test_a_broken_database_is_not_well(settings, tmp_path, content, says):
    path = tmp_path / "parley.db"
    if content is None:
        _corrupt(path)
    else:
        path.write_bytes(content)
    found = await examined(settings)
    assert found["database"].level == "setup"
    assert says in found["database"].text


def _corrupt(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x TEXT)")
    connection.executemany("INSERT INTO t VALUES (?)", [("x" * 500,)] * 100)
    connection.commit()
    connection.close()
    content = bytearray(path.read_bytes())
    content[3 * 4096 : 4 * 4096] = b"\xff" * 4096
    path.write_bytes(content)


async def test_a_database_server_that_is_not_there_is_told(settings):
    url = "postgresql://nobody@127.0.0.1:9/none"
    found = await examined(settings.model_copy(update={"database_url": url, "secret": SecretStr("s" * 32)}))
    assert found["database"].level == "setup"
    assert "PostgreSQL at 127.0.0.1" in found["database"].text


@pytest.mark.postgres
async def test_a_database_server_that_forgets_at_a_crash_is_told(settings, postgres):
    url = postgres.create()  # quick, as tests like it: fsync and its kin are off
    try:
        found = await examined(settings.model_copy(update={"database_url": url, "secret": SecretStr("s" * 32)}))
        assert found["database"].level == "warning"
        assert found["database"].todo == "switch on fsync, full_page_writes, synchronous_commit"
    finally:
        postgres.drop(url)


async def test_servers_that_share_a_database_need_a_shared_secret(settings):
    found = await examined(settings.model_copy(update={"database_url": "postgresql://nobody@127.0.0.1:9/none"}))
    assert "PARLEY_SECRET" in found["secret"].todo


async def test_a_secret_that_others_can_read_is_told(settings, tmp_path):
    path = tmp_path / "parley.secret"
    path.write_text("s" * 32)
    path.chmod(0o644)
    assert (await examined(settings))["secret"].todo == f"chmod 600 {path}"
    path.chmod(0o600)
    assert (await examined(settings))["secret"].level == "ok"


async def test_a_model_that_answers_is_well(settings):
    async with FakeOpenAI() as fake:
        found = await examined(real(settings, fake))
        assert found["model"].level == "ok"
        assert "gpt-fake" in found["model"].text


async def test_a_name_that_the_provider_does_not_list_is_a_warning(settings):
    async with FakeOpenAI() as fake:
        found = await examined(real(settings, fake, model="gpt-misspelt"))
        assert found["model"].level == "warning"
        assert found["model"].todo == "check PARLEY_MODEL"


async def test_a_refused_key_is_said_without_the_key(settings):
    async with FakeOpenAI() as fake:
        found = await examined(real(settings, fake, openai_api_key=SecretStr("sk-wrong-0123456789")))
        assert found["model"].level == "setup"
        assert "OPENAI_API_KEY" in found["model"].todo
        assert "sk-wrong-0123456789" not in str(found["model"])


@pytest.mark.parametrize("step", [Refuse(500, "server_error", "down"), HangUp()], ids=["down", "hangs up"])
async def test_a_provider_that_is_down_is_somebody_elses_turn(settings, step):
    async with FakeOpenAI() as fake:
        fake.models_step = step
        found = await examined(real(settings, fake))
        assert found["model"].level == "failing"
        assert exit_code(list(found.values())) == FAILING


async def test_a_tool_server_that_does_not_start_is_named_with_its_error(settings):
    team = settings.team_file
    team.write_text(team.read_text().replace('python: "tests.shop:create_server"', 'command: ["no-such-program"]'))
    found = await examined(settings)
    assert found["tool server shop"].level == "failing"
    assert "lookup" in found["tools"].text
    assert exit_code(list(found.values())) == FAILING


async def test_a_mistake_in_the_team_file_is_shown_with_its_place(settings):
    settings.team_file.write_text("name: x\nlabel: X\nstart: nobody\nagents: []\n")
    found = await examined(settings)
    assert found["team"].level == "setup"
    assert "agents" in found["team"].text


async def test_a_team_that_no_server_would_start_with_is_not_well(settings):
    file = changed(settings, lead={"deliverables": ["displayRoomOffer"]})
    found = await examined(settings.model_copy(update={"team_file": file}))
    assert found["team"].level == "setup"
    assert f"{file}: agents.0.deliverables.0" in found["team"].text
    assert "no deliverable 'displayRoomOffer'; there are displayAlert" in found["team"].text
    assert "correct that file" in found["team"].todo


def test_findings_come_as_words_or_as_json(capsys, monkeypatch, settings):
    monkeypatch.setenv("PARLEY_PORT", "no number")
    assert doctor.main() == SETUP
    assert "BAD   configuration: PARLEY_PORT" in capsys.readouterr().out
    assert doctor.main(as_json=True) == SETUP
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is False
    assert said["findings"][0]["subject"] == "configuration"


def test_an_address_of_the_model_that_holds_a_password_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://maya:sesame@models.example/v1")
    with pytest.raises(SetupError) as refused:
        read_settings(_env_file=None, model="qwen3")
    assert str(refused.value).startswith("OPENAI_BASE_URL: ")
    assert "sesame" not in str(refused.value)
