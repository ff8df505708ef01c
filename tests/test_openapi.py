"""Schemathesis reads our OpenAPI and sends what it allows, and what it does not: no answer may be one that is not declared.

The streams are left out: they have no end. `test_feed.py` is about them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from pydantic import SecretStr
from schemathesis.checks import ignored_auth, missing_required_header, positive_data_acceptance

from agent_core.settings import Settings
from app.main import create_app
from tests.wire import OPERATOR_TOKEN

EXAMPLES = 10
#: Ids that are allowed are most often ids of nothing, which is a 404; and so is a caller without a token, where
#: Schemathesis wants a 401. Who may pass where is tested in `test_wire.py`.
NOT_OURS = [positive_data_acceptance, ignored_auth, missing_required_header]
ENDLESS = r"/events$|/agui/(run|connect)$|/copilotkit/agent/.*/(run|connect)$"
#: Says 404 when there is nothing of that name, and forgets nothing that others need.
FOR_GOOD = {("DELETE", "/conversations/{conversation}")}


@dataclass
class Running:
    address: str
    token: str
    conversation: str


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server process, and a visitor's conversation in it."""
    command = [sys.executable, "-m", "tests.wire_server", str(tmp_path_factory.mktemp("server"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            address = server.stdout.readline().removeprefix("Parley is ready: ").strip()
            started = httpx2.post(f"{address}/conversations", json={}).json()
            yield Running(address, started["token"], started["conversation"])
        finally:
            server.terminate()
            server.wait(timeout=15)


def _described() -> dict[str, Any]:
    """The same description as the server's; it does not depend on what is behind the door."""
    nowhere = Settings(_env_file=None, secret=SecretStr("s" * 32))  # type: ignore[call-arg]
    return create_app(nowhere, AsyncExitStack).openapi()  # type: ignore[arg-type]


REFUSALS = {"checks": {"negative_data_rejection": {"expected-statuses": [400, 404, 405, 409, 413, 415, 422]}}}
CONFIG = schemathesis.Config.from_dict(REFUSALS)
schema = schemathesis.openapi.from_dict(_described(), config=CONFIG).exclude(path_regex=ENDLESS)


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_a_declared_one(case: schemathesis.Case, running: Running) -> None:
    operators = case.path.startswith("/operator")
    token = OPERATOR_TOKEN if operators else running.token
    if "conversation" in case.path_parameters and (case.method, case.path) not in FOR_GOOD:
        case.path_parameters["conversation"] = running.conversation
    case.headers = {**(case.headers or {}), "Authorization": f"Bearer {token}"}
    answer = case.call_and_validate(base_url=running.address, excluded_checks=NOT_OURS)
    assert answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
