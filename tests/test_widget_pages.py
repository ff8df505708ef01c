"""What a host's page loads from here: the loader, the frame and its files, under the headers that keep them apart."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from agent_core import sites
from agent_core.door import Principal
from agent_core.errors import SetupError
from agent_core.settings import Settings, read_settings
from agent_core.site import Site
from app.assets import Assets
from tests.conftest import OpenCore
from tests.wire import Served, serving

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self' "
)
SHOP = Site(
    key="shop",
    name="</script><script>alert('&')</script>\u2028",
    origins=("https://shop.example", "https://www.shop.example:8443"),
    greeting={"en": "Hello <!-- you"},
)
LOADER, SCRIPT, STYLE = "// loader\n" * 50, "// widget", ":root {}"


def build(folder: Path, **entries: str) -> None:
    names = {"loader.js": "loader.js", "widget.js": "widget-AB12CD34.js", "widget.css": "widget-EF56GH78.css"} | entries
    for name, text in zip(("loader.js", "widget.js", "widget.css"), (LOADER, SCRIPT, STYLE), strict=True):
        (folder / names[name]).write_text(text)
    (folder / "secret.txt").write_text("not in the manifest")
    (folder / "manifest.json").write_text(json.dumps(names))


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    folder.mkdir()
    build(folder)
    return folder


@pytest.fixture
async def served(core: OpenCore, settings: Settings, dist: Path) -> AsyncIterator[Served]:
    async with core("Hello.") as door, serving(settings, door) as out:
        out.house.assets = Assets(dist)
        await door._db.write(lambda c: sites.add(c, SHOP))
        yield out


def told(page: str) -> dict[str, Any]:
    """What the frame's script reads."""
    found = re.search(r'<script type="application/json" id="site">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


async def test_the_loader_may_be_loaded_by_any_page_and_is_fresh_within_five_minutes(served: Served) -> None:
    answer = await served.http.get("/widget.js", headers={"Origin": "https://shop.example"})
    assert (answer.status_code, answer.text) == (200, LOADER)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-encoding"] == "gzip"
    known = await served.http.get("/widget.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["cache-control"] == "public, max-age=300"
    plain = await served.http.get("/widget.js", headers={"Accept-Encoding": "identity"})
    assert (plain.text, plain.headers.get("content-encoding")) == (LOADER, None)


async def test_the_frame_tells_its_script_all_it_may_know_and_loads_nothing_else(served: Served) -> None:
    answer = await served.http.get("/widget/shop")
    assert answer.status_code == 200
    assert re.findall(r'(?:src|href)="([^"]+)"', answer.text) == [
        "data:,",
        "/assets/widget-EF56GH78.css",
        "/assets/widget-AB12CD34.js",
    ]
    site = told(answer.text)
    assert site["name"] == SHOP.name
    assert site["greeting"] == SHOP.greeting
    assert (site["team_label"], site["languages"]) == ("The Shop", ["en", "de", "es", "fr", "ar"])
    assert (site["language"], site["voice"], site["demo_model"]) == ("auto", False, False)
    assert site["theme"]["accent"] == "#0b5fff"
    known = {"key", "name", "team_label", "language", "languages", "greeting", "starters", "theme", "origins"}
    assert set(site) == known | {"identity_required", "voice", "demo_model"}


async def test_the_frame_may_talk_with_the_media_server_and_knows_that_there_is_voice(
    core: OpenCore, settings: Settings, dist: Path
) -> None:
    voiced = settings.model_copy(
        update={
            "livekit_url": "wss://media.example:7880/rtc",
            "livekit_api_key": "key",
            "livekit_api_secret": SecretStr("secret-" * 8),
        }
    )
    async with core() as door, serving(voiced, door) as served:
        served.house.assets = Assets(dist)
        await door._db.write(lambda c: sites.add(c, SHOP))
        answer = await served.http.get("/widget/shop")
    assert told(answer.text)["voice"] is True
    connect = "connect-src 'self' wss://media.example:7880 https://media.example:7880; "
    assert answer.headers["content-security-policy"].startswith(CSP.replace("connect-src 'self'; ", connect))


async def test_nothing_in_a_site_breaks_out_of_the_page(served: Served) -> None:
    page = (await served.http.get("/widget/shop")).text
    assert page.count("<script") == 2
    assert "alert('" not in page
    assert "<!-- you" not in page
    assert "\u2028" not in page[page.index('id="site"') :]


async def test_only_the_sites_own_pages_may_show_the_frame(core: OpenCore, settings: Settings, dist: Path) -> None:
    production = settings.model_copy(update={"environment": "production"})
    async with core(environment="production") as door, serving(production, door) as served:
        served.house.assets = Assets(dist)
        assert (await served.http.get("/widget/demo")).status_code == 404
        await door._db.write(lambda c: sites.add(c, SHOP))
        answer = await served.http.get("/widget/shop")
        assert answer.headers["content-security-policy"] == CSP + "https://shop.example https://www.shop.example:8443"
        assert told(answer.text)["origins"] == [*SHOP.origins, served.address]
        assert "x-frame-options" not in answer.headers


async def test_pictures_come_from_where_the_owner_says_and_nothing_else_does(
    core: OpenCore, settings: Settings, dist: Path
) -> None:
    named = read_settings(picture_origins="https://img.shop.example, https://cdn.example/", _env_file=None)
    pictured = settings.model_copy(update={"picture_origins": named.picture_origins})
    async with core() as door, serving(pictured, door) as served:
        served.house.assets = Assets(dist)
        policy = (await served.http.get("/widget/demo")).headers["content-security-policy"]
    assert policy.startswith(CSP.replace("data:", "data: https://img.shop.example https://cdn.example"))


def test_a_picture_origin_that_would_change_the_policy_is_refused() -> None:
    for wrong in ("https://img.example; script-src *", "*", "img.example", "https://img.example/rooms"):
        with pytest.raises(SetupError, match="PARLEY_PICTURE_ORIGINS"):
            read_settings(picture_origins=wrong, _env_file=None)


async def test_while_developing_pages_of_this_machine_may_show_it_on_any_port(served: Served) -> None:
    answer = await served.http.get("/widget/demo")
    loopback = "http://localhost:* http://127.0.0.1:* https://localhost:* https://127.0.0.1:*"
    assert answer.headers["content-security-policy"] == CSP + loopback
    port = served.address.rpartition(":")[2]
    assert told(answer.text)["origins"][:2] == [f"http://127.0.0.1:{port}", f"http://localhost:{port}"]


@pytest.mark.parametrize("site", ["nobody", "SHOP", "shop%2f..", "a" * 41, "%00", "shop%20"])
async def test_a_site_that_is_none_has_no_frame(served: Served, site: str) -> None:
    assert (await served.http.get(f"/widget/{site}")).status_code == 404


async def test_a_frame_of_no_site_tells_the_pages_owner_so(served: Served) -> None:
    answer = await served.http.get("/widget/nobody")
    assert "There is no such site" in answer.text
    assert answer.headers["content-type"].startswith("text/html")


async def test_the_frame_comes_in_three_modes(served: Served) -> None:
    for mode in ("panel", "inline", "page"):
        assert f'data-mode="{mode}"' in (await served.http.get(f"/widget/shop?mode={mode}")).text
    assert (await served.http.get("/widget/shop?mode=sideways")).status_code == 422


async def test_a_known_frame_is_not_sent_again_but_its_policy_is(served: Served) -> None:
    first = await served.http.get("/widget/shop")
    again = await served.http.get("/widget/shop", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == first.headers["content-security-policy"]
    assert first.headers["cache-control"] == "no-cache"


async def test_files_with_a_hash_in_their_name_are_kept_for_a_year(served: Served) -> None:
    script = await served.http.get("/assets/widget-AB12CD34.js")
    assert (script.text, script.headers["cache-control"]) == (SCRIPT, "public, max-age=31536000, immutable")
    style = await served.http.get("/assets/widget-EF56GH78.css")
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert (await served.http.get("/assets/loader.js")).headers["cache-control"] == "public, max-age=300"


@pytest.mark.parametrize(
    "name",
    ["secret.txt", "manifest.json", "..%2fdist%2fsecret.txt", "%2e%2e%2fsecret.txt", "widget-ab12cd34.js",
     "%2fetc%2fpasswd", "loader.js%00", "..%5csecret.txt"],
)  # fmt: skip
async def test_no_other_file_is_served(served: Served, name: str) -> None:
    answer = await served.http.get(f"/assets/{name}")
    assert answer.status_code == 404
    assert "manifest" not in answer.text


async def test_names_that_lead_out_of_the_folder_are_not_taken_from_the_manifest(
    served: Served, dist: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside.js").write_text("outside")
    names = json.loads((dist / "manifest.json").read_text())
    (dist / "manifest.json").write_text(json.dumps(names | {"evil.js": "../outside.js"}))
    assert (await served.http.get("/assets/..%2foutside.js")).status_code == 404
    assert (await served.http.get("/widget.js")).status_code == 200


async def test_a_new_build_is_served_without_a_restart(served: Served, dist: Path) -> None:
    assert (await served.http.get("/widget/shop")).status_code == 200
    build(dist, **{"widget.js": "widget-ZZ99ZZ99.js"})
    assert "/assets/widget-ZZ99ZZ99.js" in (await served.http.get("/widget/shop")).text
    assert (await served.http.get("/assets/widget-ZZ99ZZ99.js")).text == SCRIPT


async def test_who_opened_the_chat_before_a_new_build_still_gets_what_it_asks_for_late(
    served: Served, dist: Path
) -> None:
    (dist / "earlier.json").write_text(json.dumps([["de-AB12CD34.js", "gone-AB12CD34.js"], ["../outside-AB12CD34.js"]]))
    (dist / "de-AB12CD34.js").write_text("// Guten Tag")
    (dist.parent / "outside-AB12CD34.js").write_text("outside")
    late = await served.http.get("/assets/de-AB12CD34.js")
    assert (late.status_code, late.text) == (200, "// Guten Tag")
    assert (await served.http.get("/assets/gone-AB12CD34.js")).status_code == 404
    assert (await served.http.get("/assets/outside-AB12CD34.js")).status_code == 404
    assert (await served.http.get("/assets/earlier.json")).status_code == 404


async def test_without_a_build_each_address_says_what_to_do(served: Served, tmp_path: Path) -> None:
    served.house.assets = Assets(tmp_path / "nothing")
    for path in ("/widget.js", "/widget/shop", "/assets/widget-AB12CD34.js"):
        answer = await served.http.get(path)
        assert answer.status_code == 404
        assert "make web" in answer.text


# ---- the demo's page


@pytest.mark.parametrize(
    ("asked", "embeds"),
    [
        ("localhost:{port}", "http://127.0.0.1:{port}"),
        ("127.0.0.1:{port}", "http://localhost:{port}"),
        ("LOCALHOST:{port}", "http://127.0.0.1:{port}"),
        ("[::1]:{port}", "http://localhost:{port}"),
        ("127.0.0.1", "http://localhost"),
        ("demo.example:8000", "http://demo.example:8000"),
        ("192.0.2.1:8000", "http://192.0.2.1:8000"),
    ],
)
async def test_the_demo_page_embeds_the_widget_from_the_other_name_of_this_machine(
    served: Served, asked: str, embeds: str
) -> None:
    port = served.address.rpartition(":")[2]
    embeds = embeds.format(port=port)
    answer = await served.http.get("/demo", headers={"Host": asked.format(port=port)})
    assert answer.status_code == 200
    assert f'<script src="{embeds}/widget.js" data-site="demo" async></script>' in answer.text
    assert answer.headers["content-security-policy"] == (
        f"default-src 'none'; script-src 'self' {embeds}; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        f"frame-src {embeds}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@pytest.mark.parametrize("host", ["evil; script-src *", "a b", "x'", "[::1", "h" * 300, "a:b:c", "user@host"])
async def test_a_host_that_is_none_gets_into_no_header_and_no_page(served: Served, host: str) -> None:
    answer = await served.http.get("/demo", headers={"Host": host})
    assert host not in answer.text
    assert host not in answer.headers.get("content-security-policy", "")


async def test_the_demo_page_keeps_to_its_own_policy_and_asks_nobody_else_for_anything(served: Served) -> None:
    page = (await served.http.get("/demo")).text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    other = f"http://localhost:{served.address.rpartition(':')[2]}"
    assert all(address.startswith(("/demo", "#", "data:", other)) for address in addresses)
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style|javascript:", page)
    for address in (address for address in addresses if address.startswith("/demo/")):
        assert (await served.http.get(address)).status_code == 200
    assert "http" not in (await served.http.get("/demo/demo.css")).text
    assert (await served.http.get("/demo/start.html")).status_code == 404


async def test_the_demo_page_shows_the_prices_of_the_demo_data(served: Served) -> None:
    page = (await served.http.get("/demo")).text
    assert len(re.findall(r"Ask about (?:it: )?Cobalt ", page)) == 12
    assert "€14.99" in page


async def test_the_demos_customers_are_signed_in_by_its_server(served: Served) -> None:
    signed = await served.http.post("/demo/identity", json={"customer": "C-1001"})
    assert signed.headers["cache-control"] == "no-store"
    arrived = await served.http.post("/sites/demo/visitors", json=signed.json())
    assert (arrived.status_code, arrived.json()["subject_is"]) == (201, "customer")
    assert (await served.http.post("/demo/identity", json={"customer": "C-9999"})).status_code == 422
    other = await served.http.post(
        "/demo/identity", json={"customer": "C-1001"}, headers={"Origin": "https://evil.example"}
    )
    assert other.status_code == 403


async def test_production_has_no_demo(core: OpenCore, settings: Settings) -> None:
    production = settings.model_copy(update={"environment": "production"})
    async with core(environment="production") as door, serving(production, door) as served:
        for path in ("/demo", "/demo/demo.css", "/widget/demo"):
            assert (await served.http.get(path)).status_code == 404
        assert (await served.http.post("/demo/identity", json={"customer": "C-1001"})).status_code == 404
        assert (await served.http.post("/sites/demo/visitors", json={})).status_code == 404
        assert "/demo" not in (await served.http.get("/")).text


async def test_what_is_running_is_not_told_to_everybody_in_production(core: OpenCore, settings: Settings) -> None:
    production = settings.model_copy(update={"environment": "production"})
    async with core() as door, serving(settings, door) as served:
        desk = await door.desk(Principal("service", "reader"))
        told = (desk.model, desk.database, desk.agents[0])
        page = (await served.http.get("/")).text
        assert all(f">{word}" in page for word in told)
    async with core(environment="production") as door, serving(production, door) as served:
        page = (await served.http.get("/")).text
        assert "Parley is running" in page
        assert not any(f">{word}" in page for word in told)


async def test_a_newcomer_finds_the_demo_on_the_start_page(served: Served) -> None:
    assert 'href="/demo"' in (await served.http.get("/")).text


async def test_the_demo_page_says_when_there_is_no_widget_to_embed(served: Served, tmp_path: Path) -> None:
    assert "make web" not in (await served.http.get("/demo")).text
    served.house.assets = Assets(tmp_path / "nothing")
    assert "make web" in (await served.http.get("/demo")).text
