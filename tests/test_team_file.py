"""What is read from the team file alone: the servers, and the secrets that it names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_core.errors import SetupError
from agent_core.settings import Settings
from agent_core.team import team_in_file
from tests.owner import at, changed
from tests.test_readme import README


def of_the_readme(part: str) -> Any:
    """As it says how a server gets its key."""
    (said,) = re.findall(rf"`({part}: {{.*?}}+)`", README)
    return yaml.safe_load(said)


@pytest.mark.parametrize(
    ("part", "held"),
    [
        ({"url": "https://${HOST}/mcp", **of_the_readme("headers")}, "Bearer sesame"),
        ({"command": ["shop"], **of_the_readme("env")}, "sesame"),
        ({"python": "tests.shop:create_server", "options": {"key": "${SHOP_KEY}", "tries": 3}}, "sesame"),
    ],
)
def test_a_servers_secret_is_named_in_the_file_and_comes_from_the_environment(
    settings: Settings, monkeypatch: Any, tmp_path: Path, part: dict[str, Any], held: str
) -> None:
    monkeypatch.chdir(tmp_path)
    here = at(settings, changed(settings, servers=[{"name": "shop", **part}]))
    monkeypatch.setenv("HOST", "shop.example")
    monkeypatch.delenv("SHOP_KEY", raising=False)
    with pytest.raises(SetupError, match=r"\$\{SHOP_KEY\} is not set: put it into the environment or \.env"):
        team_in_file(here)
    Path(".env").write_text("SHOP_KEY=sesame\n")
    server = team_in_file(here).servers[0]
    assert held in (server.headers.get("Authorization"), server.env.get("SHOP_KEY"), server.options.get("key"))
    assert server.url in (None, "https://shop.example/mcp")
    monkeypatch.setenv("SHOP_KEY", "barley")
    assert "barley" in str(team_in_file(here).servers[0])


@pytest.mark.parametrize("servers", [["shop"], [{"name": "shop", "options": None}], "shop"])
def test_a_server_that_is_none_is_told_with_its_place(settings: Settings, servers: Any) -> None:
    with pytest.raises(SetupError, match=r"servers"):
        team_in_file(at(settings, changed(settings, servers=servers)))
