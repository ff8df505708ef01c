"""What stands in deploy/ and in the Dockerfile agrees with the program: settings, routes, times, and what nginx does."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from agent_core.core import GRACE_SECONDS
from agent_core.deliverables import DELIVERABLES
from agent_core.settings import Settings
from agent_core.team import read_team
from agent_core.turns import STOP_SECONDS
from app.server import SHUTDOWN_SECONDS
from tests.conftest import OpenCore
from tests.nginx import needs_nginx, nginx
from tests.scripted import Hold
from tests.wire import serving
from tools.telecom.server import create_server

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"


def manifests(kind: str) -> list[dict[str, Any]]:
    texts = [path.read_text() for path in KUBERNETES.glob("*.yaml") if path.name != "team.yaml"]
    return [part for text in texts for part in yaml.safe_load_all(text) if part["kind"] == kind]


def pods() -> dict[str, dict[str, Any]]:
    return {part["metadata"]["name"]: part["spec"]["template"]["spec"] for part in manifests("Deployment")}


def test_every_setting_that_is_named_is_one() -> None:
    known = {f"PARLEY_{name.upper()}" for name in Settings.model_fields} | {"PARLEY_PORT=tcp"}
    files = [ROOT / "Dockerfile", *DEPLOY.rglob("*.yaml"), DEPLOY / "nginx.conf"]
    named = {name for file in files for name in re.findall(r"PARLEY_[A-Z_]+", file.read_text())}
    assert named
    assert named <= known


def test_the_image_is_made_of_files_that_are_there_and_let_in() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = {source for line in copied for source in line.split()}
    assert sources == let_in
    assert all((ROOT / source).exists() for source in sources)


def test_the_packages_that_an_image_can_be_made_of_are_locked_and_let_in() -> None:
    packages = set(
        re.findall(r"PACKAGES=(\S+?\.lock)", (ROOT / "Dockerfile").read_text() + (ROOT / "README.md").read_text())
    )
    assert packages == {"requirements.lock", "requirements-voice.lock"}
    assert all((DEPLOY / name).is_file() for name in packages)


def test_the_image_is_installed_with_the_same_installer_as_a_clone() -> None:
    pinned = [re.findall(r"uv==[\d.]+", (ROOT / name).read_text()) for name in ("Makefile", "Dockerfile")]
    assert pinned[0] == pinned[1] != []


@pytest.mark.parametrize("name", ["compose.yaml", "compose.postgres.yaml"])
def test_a_container_has_the_time_to_see_everybody_out(name: str) -> None:
    parley = yaml.safe_load((DEPLOY / name).read_text())["services"]["parley"]
    assert int(parley["stop_grace_period"].removesuffix("s")) > SHUTDOWN_SECONDS + GRACE_SECONDS + STOP_SECONDS
    assert (DEPLOY / parley["build"]["context"] / parley["build"]["dockerfile"]).is_file()


def test_a_pod_has_the_time_to_see_everybody_out() -> None:
    pod = pods()["parley"]
    asleep = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > asleep + SHUTDOWN_SECONDS + GRACE_SECONDS + STOP_SECONDS


def test_no_service_becomes_a_setting() -> None:
    """Kubernetes would set PARLEY_PORT=tcp://10.0.0.1:80 for a Service of that name, and the start would be refused."""
    assert all(pod["enableServiceLinks"] is False for pod in pods().values())


async def test_the_probes_ask_what_the_server_answers(core: OpenCore, settings: Settings) -> None:
    container = pods()["parley"]["containers"][0]
    paths = {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    async with core() as door, serving(settings, door) as served:
        for path in paths:
            assert (await served.http.get(path)).status_code == 200


async def test_the_team_of_the_manifests_uses_tools_and_deliverables_that_there_are(tmp_path: Path) -> None:
    team = read_team(KUBERNETES / "team.yaml")
    offered = {tool.name for tool in await create_server(tmp_path / "telecom.db").list_tools()}
    for agent in team.agents:
        assert set(agent.tools) <= offered
        assert set(agent.deliverables) <= set(DELIVERABLES)
    service = next(part for part in manifests("Service") if part["metadata"]["name"] == "parley-tools")
    assert team.servers[0].url == f"http://parley-tools:{service['spec']['ports'][0]['port']}/mcp"


def test_every_secret_of_the_manifests_is_explained() -> None:
    needed = {
        variable["valueFrom"]["secretKeyRef"]["key"]
        for variable in pods()["parley"]["containers"][0]["env"]
        if "valueFrom" in variable
    }
    head = (KUBERNETES / "kustomization.yaml").read_text()
    assert needed == set(re.findall(r"--from-literal=([a-z-]+)=", head))


@needs_nginx
async def test_each_word_passes_nginx_when_it_is_said(core: OpenCore, settings: Settings, tmp_path: Path) -> None:
    hold = Hold()
    async with (
        core(["We open ", hold, "at nine."]) as door,
        serving(settings, door) as served,
        nginx(tmp_path, served.address) as front,
        httpx2.AsyncClient(base_url=front.address, timeout=15) as http,
    ):
        before = replace(served, http=http)
        visitor = await before.visitor()
        async with visitor.watching() as reader:
            said = await visitor.say("When do you open?")
            await reader.heard("We open ")
            hold.go.set()
            await reader.until("RUN_FINISHED", runId=said["turn"])
        assert (await before.http.get("/readyz")).status_code == 404
        crowd = await asyncio.gather(*(before.http.post("/conversations", json={}) for _ in range(60)))
    assert {answer.status_code for answer in crowd} == {201, 429}


@pytest.mark.parametrize("name", ["compose.yaml", "compose.postgres.yaml"])
def test_a_team_of_ones_own_gets_into_the_container(name: str) -> None:
    parley = yaml.safe_load((DEPLOY / name).read_text())["services"]["parley"]
    assert "./team:/etc/parley:ro" in parley["volumes"]
    head = (DEPLOY / "compose.yaml").read_text().partition("services:")[0]
    assert "deploy/team/" in head
    assert "PARLEY_TEAM_FILE=/etc/parley/" in head
