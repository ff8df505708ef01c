"""What the doctor says of voice, and how the worker is kept beside the server."""

from __future__ import annotations

import os
import subprocess
import sys

from pydantic import SecretStr

from app.voice_findings import voice
from tests.test_media import pretending, voiced


async def found(settings):
    return {finding.subject: finding async for finding in voice(settings)}


async def test_without_a_media_server_voice_is_off_and_one_is_told_how_to_get_one(settings):
    (finding,) = (await found(settings)).values()
    assert finding.level == "ok"
    assert "livekit-server" in finding.todo


async def test_all_is_well_when_server_and_worker_answer(settings):
    async with pretending() as (_asked, url, worker):
        findings = await found(voiced(settings, url, worker))
        assert {finding.level for finding in findings.values()} == {"ok"}
        assert "embedded" in findings["voice"].text


async def test_what_does_not_answer_is_named_with_what_to_do(settings):
    findings = await found(voiced(settings, "ws://127.0.0.1:9", "http://127.0.0.1:9"))
    assert findings["media server"].level == "failing"
    assert findings["voice worker"].level == "warning"
    assert "--voice" in findings["voice worker"].todo


async def test_a_key_makes_it_openais_voice(settings):
    keyed = settings.model_copy(update={"openai_api_key": SecretStr("k")})
    findings = await found(voiced(keyed, "ws://127.0.0.1:9", "http://127.0.0.1:9"))
    assert "OpenAI" in findings["voice"].text


def test_a_worker_that_is_not_set_up_says_what_is_missing(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    worker = subprocess.run(
        [sys.executable, "-m", "voice.worker"],
        capture_output=True,
        text=True,
        timeout=50,
        env={**environment, "PYTHONPATH": os.getcwd()},
        cwd=tmp_path,
    )
    assert worker.returncode == 2
    assert "PARLEY_LIVEKIT_URL" in worker.stderr
