"""Sites: rows on both databases, what a site may be, and the command that looks after them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from pydantic import SecretStr
from sqlalchemy.engine import Connection

from agent_core import migrations, sites
from agent_core.core import DEMO_SITE
from agent_core.database import SQLite, open_database
from agent_core.errors import Conflict, Invalid, NotFound, SetupError
from agent_core.settings import DEMO_TEAM, Settings
from agent_core.site import Site, identity_secret, read_site
from agent_core.tables import conversations
from app import site_book
from tests.conftest import OpenCore, each_database, sqlite_only
from tests.test_migrations import on, stamp
from tests.wire import serving

pytestmark = each_database

SHOP = read_site(
    {
        "key": "shop",
        "name": "Der Läden",
        "origins": ["https://shop.example"],
        "greeting": {"de": "Grüß Gott"},
        "starters": {"de": ["Was kostet das?"]},
        "theme": {"accent": "#123456", "side": "left"},
    }
)


# ---- rows


async def test_a_site_is_kept_as_it_is(database: str) -> None:
    opened = await open_database(database)
    await opened.write(lambda c: sites.add(c, SHOP))
    assert await opened.read(lambda c: sites.find(c, "shop")) == SHOP
    changed = SHOP.model_copy(update={"identity_required": True, "rotation": 2, "origins": ()})
    await opened.write(lambda c: sites.replace(c, changed))
    assert await opened.read(sites.every) == [changed]
    await opened.write(lambda c: sites.remove(c, "shop"))
    assert await opened.read(lambda c: sites.find(c, "shop")) is None
    await opened.aclose()


async def test_there_is_one_site_of_a_key_and_none_is_changed_that_is_not_there(database: str) -> None:
    opened = await open_database(database)
    await opened.write(lambda c: sites.add(c, SHOP))
    with pytest.raises(Conflict):
        await opened.write(lambda c: sites.add(c, SHOP))
    with pytest.raises(NotFound):
        await opened.write(lambda c: sites.replace(c, SHOP.model_copy(update={"key": "other"})))
    with pytest.raises(NotFound):
        await opened.write(lambda c: sites.remove(c, "other"))
    await opened.aclose()


async def test_a_site_is_read_once_for_many_requests_and_again_after_a_moment(database: str) -> None:
    now = 0.0
    opened = await open_database(database)
    known = sites.Sites(opened, clock=lambda: now)
    assert await known.find("shop") is None
    await opened.write(lambda c: sites.add(c, SHOP))
    assert await known.find("shop") is None
    now = sites.REMEMBERED_SECONDS
    assert await known.find("shop") == SHOP
    await opened.aclose()
    assert await known.find("shop") == SHOP  # without a database
    assert await known.find("../shop") is None
    assert await known.find("x" * 1000) is None


async def test_keys_asked_for_at_random_do_not_fill_the_memory(database: str) -> None:
    opened = await open_database(database)
    known = sites.Sites(opened)
    for n in range(sites.REMEMBERED + 5):
        await known.find(f"No site {n}")
    assert len(known._known) <= sites.REMEMBERED
    await opened.aclose()


async def test_a_database_of_before_there_were_sites_keeps_its_conversations(database: str) -> None:
    def first_tables(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        columns = "id, site, owner, team, agent, created_at, updated_at"
        connection.exec_driver_sql(f"INSERT INTO conversations ({columns}) VALUES ('conv_1','s','o','t','a',0,0)")

    await on(database, first_tables)
    opened = await open_database(database)
    row = (await opened.read(lambda c: c.execute(sa.select(conversations)).one()))._mapping
    assert (row["id"], row["customer"]) == ("conv_1", None)
    assert await opened.read(sites.every) == []
    await opened.aclose()


# ---- the secret


def test_each_site_and_each_rotation_has_a_secret_of_its_own() -> None:
    secrets = {
        identity_secret(word, SHOP.model_copy(update={"key": key, "rotation": rotation}))
        for word in ("one", "two")
        for key in ("shop", "shop-1", "bank")
        for rotation in (0, 1)
    }
    assert len(secrets) == 12
    assert all(len(secret) == 64 for secret in secrets)
    assert identity_secret("one", SHOP) == identity_secret("one", SHOP.model_copy(update={"name": "Other"}))


@sqlite_only
async def test_no_secret_is_in_the_database(settings: Settings, tmp_path: Path) -> None:
    settings = settings.model_copy(update={"secret": SecretStr("s" * 32)})
    await site_book.add(settings, "shop", {}, None)
    told = await site_book.secret(settings, "shop", rotate=True)
    written = _content(tmp_path)
    assert b"shop" in written
    assert told.encode() not in written
    assert b"s" * 32 not in written


def _content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("parley.db*"))


# ---- what a site may be


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://shop.example", "https://shop.example"),
        ("https://Shop.Example/", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("http://shop.example:80", "http://shop.example"),
        ("http://shop.example:443", "http://shop.example:443"),
        ("https://shop.example:8443", "https://shop.example:8443"),
        (" https://xn--mnchen-3ya.example ", "https://xn--mnchen-3ya.example"),
        ("http://localhost:3000", "http://localhost:3000"),
    ],
)
def test_an_origin_is_kept_as_browsers_write_it(written: str, origin: str) -> None:
    assert read_site({"key": "a", "name": "A", "origins": [written]}).origins == (origin,)


@pytest.mark.parametrize(
    "origin",
    [
        "*", "https://*", "https://*.shop.example", "shop.example", "//shop.example", "https://", "null", "",
        "https://shop.example/path", "https://shop.example?x", "https://shop.example#x", "https://a b",
        "https://user@shop.example", "https://shop.example; script-src *", "https://shop.example 'unsafe-inline'",
        "https://a,https://b", "ftp://shop.example", "javascript:alert(1)", "https://[::1]", "https://shop.example:0",
        "https://shop.example:*", "https://münchen.example", "https://shop..example", "https://shop.example\nx",
        "https://-shop.example", "data:text/html,x",
    ],
)  # fmt: skip
def test_what_is_no_exact_origin_is_refused(origin: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_site({"key": "a", "name": "A", "origins": [origin]})
    assert refused.value.field == "origins.0"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"key": "Shop"}, "key"),
        ({"key": "-shop"}, "key"),
        ({"key": "a" * 41}, "key"),
        ({"key": "a\n"}, "key"),
        ({"key": "*"}, "key"),
        ({"name": ""}, "name"),
        ({"language": "english"}, "language"),
        ({"theme": {"accent": "red; x"}}, "theme.accent"),
        ({"theme": {"font": "x; background: url(//evil)"}}, "theme.font"),
        ({"theme": {"radius": "1e9px"}}, "theme.radius"),
        ({"theme": {"colour": "#000000"}}, "theme.colour"),
        ({"greeting": {"en": "x" * 301}}, "greeting.en"),
        ({"starters": {"en": ["x"] * 7}}, "starters.en"),
        ({"secret": "x"}, "secret"),
    ],
)
def test_what_is_wrong_in_a_site_is_named(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_site({"key": "a", "name": "A"} | fields)
    assert refused.value.field.startswith(field)


# ---- the first site


async def test_who_develops_finds_a_site_and_production_none(core: OpenCore) -> None:
    async with core() as door:
        found = await door.site("demo")
        assert (found.name, found.origins) == ("The Shop", ())
    async with core(environment="production") as door:
        await door._db.write(lambda c: sites.remove(c, "demo"))
    async with core(environment="production") as door:
        assert await door.site("demo") is None


async def test_a_site_that_was_changed_stays_so(core: OpenCore) -> None:
    async with core() as door:
        await door._db.write(lambda c: sites.replace(c, Site(key="demo", name="Mine")))
    async with core() as door:
        assert (await door.site("demo")).name == "Mine"


async def test_the_demos_site_speaks_every_language_of_its_team() -> None:
    import yaml

    from agent_core.core import demo_site

    settings = Settings(_env_file=None, team_file=DEMO_TEAM)  # type: ignore[call-arg]
    site = demo_site(settings, "The label")
    languages = set(yaml.safe_load(DEMO_TEAM.read_text())["language"]["allowed"])
    assert set(site.greeting) == set(site.starters) == languages
    assert DEMO_SITE.is_file()


# ---- the command


async def test_the_book_adds_shows_changes_and_removes(settings: Settings, tmp_path: Path) -> None:
    settings = settings.model_copy(update={"secret": SecretStr("s" * 32)})
    assert "no site yet" in await site_book.show_all(settings)
    more = tmp_path / "shop.yaml"
    more.write_text("name: The Shop\ngreeting: {en: Hello}\ntheme: {side: left}\n")
    told = await site_book.add(settings, "shop", {"origins": ["https://shop.example"]}, more)
    assert "greeting  en\n" in told
    assert 'data-site="shop" async></script>' in told
    await site_book.change(settings, "shop", {"identity_required": True}, None)
    site = json.loads(await site_book.show(settings, "shop", as_json=True))
    assert (site["name"], site["theme"]["side"], site["identity_required"]) == ("The Shop", "left", True)
    assert await site_book.show_all(settings) == "shop  The Shop  https://shop.example"
    secret = await site_book.secret(settings, "shop")
    assert await site_book.secret(settings, "shop") == secret
    assert await site_book.secret(settings, "shop", rotate=True) != secret
    assert "removed" in await site_book.remove(settings, "shop")
    with pytest.raises(NotFound):
        await site_book.show(settings, "shop")


async def test_a_new_site_greets_its_visitors_in_every_language(settings: Settings) -> None:
    assert "greeting  en de es fr ar\n" in await site_book.add(settings, "plain", {}, None)


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"team": "other"}, "team"), ({"language": "nl"}, "language"), ({"origins": ["x"]}, "origins.0")],
)
async def test_the_book_refuses_what_no_server_could_do(settings: Settings, fields: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        await site_book.add(settings, "shop", fields, None)
    assert refused.value.field == field


async def test_a_file_that_is_no_site_is_refused(settings: Settings, tmp_path: Path) -> None:
    for text in ("- a list", "rotation: 3", "{", "\udcff"):
        file = tmp_path / "site.yaml"
        file.write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(Invalid) as refused:
            await site_book.add(settings, "shop", {}, file)
        assert refused.value.field == "--file"


async def test_a_site_that_is_added_beside_a_running_server_is_served_at_once(
    core: OpenCore, settings: Settings
) -> None:
    settings = settings.model_copy(update={"secret": SecretStr("s" * 32)})
    async with core() as door, serving(settings, door) as served:
        await site_book.add(settings, "shop", {}, None)
        assert (await served.http.post("/sites/shop/visitors", json={})).status_code == 201
        assert "demo" in await site_book.show_all(settings)


@sqlite_only
async def test_beside_a_server_of_another_version_nothing_is_written(database: str) -> None:
    held = await open_database(database)
    await on(database, stamp("0001"))
    with pytest.raises(SetupError, match="another version"):
        SQLite.beside(database)
    await held.aclose()


@sqlite_only
def test_the_command_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
        environment |= {"PYTHONPATH": os.getcwd(), "PARLEY_DATABASE_URL": f"sqlite:///{tmp_path}/p.db"}
        program = [sys.executable, "-c", "from app.cli import main; main()", "sites"]
        return subprocess.run(
            [*program, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )

    assert run("add", "shop", "--name", "Shop", "--origin", "https://a.example").returncode == 0
    again = run("add", "shop")
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr == "parley: There is a site shop already.\n"
    wrong = run("set", "shop", "--origin", "https://*")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("parley: origins.0: ")
    secret = run("secret", "shop")
    assert (len(secret.stdout.strip()), secret.returncode) == (64, 0)
