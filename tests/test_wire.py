"""REST: who may pass where (made from the app's own OpenAPI), what is refused and how it is said."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import httpx2
import jwt
import pytest
import yaml
from pydantic import SecretStr

from agent_core.door import Principal
from agent_core.errors import SetupError
from app.entrance import BODY_BYTES
from app.main import create_app
from app.tokens import Tokens
from tests.conftest import OpenCore
from tests.scripted import Call, Hold, Say
from tests.wire import OPERATOR_TOKEN, Served, Visitor, serving

NOBODY = "conv_" + "0" * 32
PUBLIC = {"/livez", "/readyz", "/agui/info", "/copilotkit/info"}
#: A body that each route would take.
BODIES: dict[str, Any] = {
    "messages": {"client_message_id": "1", "text": "Hi"},
    "interrupt": {"decision": "approve"},
    "call": {"output": "x"},
    "acknowledgement": {"version": 1},
    "decision": {"version": 1, "decision": "accept"},
    "feedback": {"message": "msg_1", "rating": "up"},
    "heard": {"turn": "turn_1", "text": "x"},
    "run": {"threadId": "{conversation}", "runId": "r", "messages": [{"id": "1", "role": "user", "content": "Hi"}]},
    "connect": {"threadId": "{conversation}", "runId": "r", "messages": []},
    "agui/stop": {"threadId": "{conversation}"},
}


@pytest.fixture
async def served(core: OpenCore, settings: Any) -> AsyncIterator[Served]:
    async with core("Hello.", "Again.") as door, serving(settings, door) as out:
        yield out


def routes(app_schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for path, methods in app_schema["paths"].items():
        for method in methods:
            yield method.upper(), path


def request_to(method: str, path: str, conversation: str) -> dict[str, Any]:
    """What a caller would send there, were it theirs."""
    names = {"conversation": conversation, "thread": conversation, "agent": "default"}
    url = path
    for name in ("conversation", "thread", "agent", "interrupt", "call", "deliverable"):
        url = url.replace(f"{{{name}}}", names.get(name, f"{name}_1"))
    body = next((body for name, body in BODIES.items() if path.rstrip("}").endswith(name)), {})
    out: dict[str, Any] = {"method": method, "url": url}
    if method == "POST":
        out["json"] = json.loads(json.dumps(body).replace("{conversation}", conversation))
    return out


async def test_nobody_but_its_owner_reaches_a_conversation_and_all_others_read_the_same_404(served: Served) -> None:
    owner, other = await served.visitor(), await served.visitor()
    schema = (await served.http.get("/openapi.json")).json()
    callers = {
        "anonymous": {},
        "garbage": {"Authorization": "Bearer garbage"},
        "another visitor": other.headers,
        "expired": {"Authorization": f"Bearer {_token(served, seconds=-1)}"},
        "forged": {"Authorization": f"Bearer {jwt.encode(_claims(60), 'x' * 32, algorithm='HS256')}"},
        "unsigned": {"Authorization": f"Bearer {jwt.encode(_claims(60), None, algorithm='none')}"},
        "an operator": served.operator,
    }
    refused, bodies = 0, set()
    for method, path in routes(schema):
        if path in PUBLIC or ("{conversation}" not in path and "threadId" not in str(request_to(method, path, NOBODY))):
            continue
        for caller, headers in callers.items():
            if caller == "an operator" and path.startswith("/operator"):
                continue
            for conversation in (owner.conversation, NOBODY):
                answer = await served.http.request(**request_to(method, path, conversation), headers=headers)
                assert answer.status_code == 404, f"{caller}: {method} {path} says {answer.status_code}"
                bodies.add(answer.text)
                refused += 1
    assert len(bodies) == 1
    assert refused > 300
    assert len((await owner.get()).json()["items"]) == 0


def _claims(seconds: int) -> dict[str, Any]:
    now = int(time.time())
    return {"aud": "parley", "sub": "visitor_1", "role": "visitor", "site": "default", "exp": now + seconds}


def _token(served: Served, seconds: int) -> str:
    who, _ = served.house.tokens.visitor()
    return served.house.tokens.sign(who, seconds)


async def test_the_routes_of_services_and_operators_are_no_visitors(served: Served) -> None:
    visitor = await served.visitor()
    assert (await visitor.post("/heard", {"turn": "turn_1", "text": "x"})).status_code == 404
    assert (await visitor.post("/settings", {"model": "x"})).status_code == 404
    url = f"/operator/conversations/{visitor.conversation}"
    assert (await served.http.post(f"{url}/floor", headers=visitor.headers)).status_code == 404
    assert (await served.http.get(url, headers=served.operator)).status_code == 200
    assert (await served.http.get(f"/conversations/{visitor.conversation}", headers=served.service)).status_code == 200


async def test_how_the_servers_behind_are_is_nothing_for_visitors(served: Served) -> None:
    """Names of tools and servers, and where one was not reached: a map for who means ill."""
    visitor = await served.visitor()
    customer = served.house.tokens.customer(Principal("customer", "customer:default:1", "default"))
    for headers in ({}, visitor.headers, {"Authorization": f"Bearer {customer}"}):
        assert (await served.http.get("/desk", headers=headers)).status_code == 404
    for headers in (served.operator, served.service):
        assert (await served.http.get("/desk", headers=headers)).json()["servers"]["shop"]["state"] == "ready"


async def test_a_visitor_comes_back_with_the_token_and_finds_the_thread_again(served: Served) -> None:
    first = await served.http.post("/conversations", json={"thread": "mine"})
    token = first.json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    again = await served.http.post("/conversations", json={"thread": "mine"}, headers=headers)
    assert again.json() == {"conversation": first.json()["conversation"], "token": None}
    other = await served.http.post("/conversations", json={"thread": "mine"})
    assert other.json()["conversation"] != first.json()["conversation"]
    listed = (await served.http.get("/conversations", headers=headers)).json()["conversations"]
    assert [line["conversation"] for line in listed] == [first.json()["conversation"]]


async def test_a_message_is_accepted_once_however_often_it_is_sent(served: Served) -> None:
    visitor = await served.visitor()
    body = {"client_message_id": "a", "text": "Hi"}
    first, again = await visitor.post("/messages", body), await visitor.post("/messages", body)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == {**first.json(), "replayed": True}
    other = await visitor.post("/messages", {**body, "text": "Something else"})
    assert other.status_code == 422
    assert other.json()["error"]["field"] == "client_message_id"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/messages", {"client_message_id": "1", "text": "x" * 16385}, "text"),
        ("/messages", {"client_message_id": "1", "text": "ü" * 8193}, "text"),
        ("/messages", {"client_message_id": "1", "text": ""}, "text"),
        ("/messages", {"client_message_id": "1", "text": " \n"}, "text"),
        ("/messages", {"client_message_id": "1", "text": "a\x00b"}, "text"),
        ("/messages", {"client_message_id": "1", "text": 7}, "text"),
        ("/messages", {"client_message_id": 1, "text": "Hi"}, "client_message_id"),
        ("/messages", {"text": "Hi"}, "client_message_id"),
        ("/messages", {"client_message_id": "1", "text": "Hi", "role": "assistant"}, "role"),
        ("/messages", {"client_message_id": "1", "text": "Hi", "mode": "telepathy"}, "mode"),
        ("/messages", {"client_message_id": "1", "text": "Hi", "tools": [{"name": "lookup"}]}, "tools.0.description"),
        ("/messages", [], "body"),
        ("/messages", "Hi", "body"),
        ("/interrupts/int_1", {"decision": "maybe"}, "decision"),
        ("/interrupts/int_1", {"decision": "approve", "arguments": []}, "arguments"),
        ("/calls/call_1", {"output": "x" * 16385}, "output"),
        ("/calls/call_1", {"output": "x", "failed": "no"}, "failed"),
        ("/deliverables/dlv_1/decision", {"version": "1", "decision": "accept"}, "version"),
        ("/deliverables/dlv_1/acknowledgement", {"version": 0}, "version"),
        ("/feedback", {"message": "msg_1", "rating": "great"}, "rating"),
        ("/feedback", {"message": "msg_1", "rating": "up", "comment": "x" * 2001}, "comment"),
        ("/fork", {"at": 0}, "at"),
        ("/fork", {"at": 100_000}, "at"),
    ],
)
async def test_what_is_wrong_in_a_body_is_named(served: Served, path: str, body: Any, field: str) -> None:
    visitor = await served.visitor()
    answer = await visitor.post(path, body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["code"] == "invalid"
    assert answer.json()["error"]["field"] == field


@pytest.mark.parametrize("name", ["conv_", "..%2f", "x" * 300, "%00", "conv_%F0%9F%99%82"])
async def test_what_no_conversation_was_ever_called_is_not_there(served: Served, name: str) -> None:
    visitor = await served.visitor()
    for path in ("", "/events", "/history"):
        assert (await served.http.get(f"/conversations/{name}{path}", headers=visitor.headers)).status_code == 404


async def test_half_a_character_is_no_text(served: Served) -> None:
    visitor = await served.visitor()
    url, headers = f"/conversations/{visitor.conversation}/messages", {"Content-Type": "application/json"}
    body = b'{"client_message_id": "1", "text": "\\ud800"}'
    answer = await served.http.post(url, content=body, headers={**visitor.headers, **headers})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "text")


async def test_16_kilobytes_are_taken_to_the_byte(served: Served) -> None:
    visitor = await served.visitor()
    assert (await visitor.post("/messages", {"client_message_id": "1", "text": "ü" * 8192})).status_code == 202


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {}, 415),
        (b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b"{", {"Content-Type": "application/json"}, 422),
        (b"\xff", {"Content-Type": "application/json"}, 400),
        (b"[" * 60_000, {"Content-Type": "application/json"}, 400),
        (b" " * (BODY_BYTES + 1), {"Content-Type": "application/json"}, 413),
    ],
)
async def test_what_is_no_json_or_too_much_of_it_is_refused(
    served: Served, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await served.http.post("/conversations", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert set(answer.json()["error"]) >= {"code", "message"}
    assert answer.headers["X-Request-Id"]


async def test_a_body_without_a_length_is_refused_when_it_has_become_too_long(served: Served) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while read < 100:
            read += 1
            yield b" " * 8192

    headers = {"Content-Type": "application/json"}
    try:
        answer = await served.http.post("/conversations", content=endless(), headers=headers)
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "too_large"
    except httpx2.WriteError:
        assert read < 100  # the server has hung up before it was all sent


async def test_a_snapshot_has_its_version_as_etag(served: Served) -> None:
    visitor = await served.visitor()
    first = await visitor.get()
    assert first.headers["ETag"] == f'"{first.json()["version"]}"'
    assert (await visitor.get(**{"If-None-Match": first.headers["ETag"]})).status_code == 304


async def test_unknown_addresses_and_methods_answer_in_the_same_shape(served: Served) -> None:
    assert (await served.http.get("/nowhere")).json()["error"]["code"] == "not_found"
    wrong = await served.http.delete("/livez")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")


async def test_a_turn_is_stopped_and_what_was_said_kept(core: OpenCore, settings: Any) -> None:
    hold = Hold()
    async with core([Say("As far as "), hold, Say("this.")]) as door, serving(settings, door) as served:
        visitor = await served.visitor()
        async with visitor.watching() as reader:
            said = await visitor.say("go")
            await reader.heard("As far as ")
            assert (await visitor.post("/stop", {"turn": "turn_other"})).json() == {"stopped": False}
            assert (await visitor.post("/stop", {})).json() == {"stopped": True}
            finished = await reader.until("RUN_FINISHED", runId=said["turn"])
        assert finished["outcome"] == {"type": "cancelled"}
        assert (await visitor.get()).json()["items"][-1]["text"] == "As far as "
        assert (await visitor.post("/stop", {})).json() == {"stopped": False}
        hold.go.set()


async def test_an_approval_is_decided_once(core: OpenCore, settings: Any) -> None:
    async with core([Call("lock", {"card": "7"})], "Locked.") as door, serving(settings, door) as served:
        visitor = await served.visitor()
        async with visitor.watching() as reader:
            await visitor.say("lock it")
            opened = (await reader.until("CUSTOM", name="parley.interrupt.opened"))["value"]
            assert not {"subject", "hash"} & set(opened)
            path = f"/interrupts/{opened['interrupt']}"
            edited = {"decision": "approve", "arguments": {"card": "8"}}
            assert (await visitor.post(path, edited)).json()["error"]["field"] == "arguments.card"
            decided = await visitor.post(path, {"decision": "approve"})
            assert decided.status_code == 202
            assert (await visitor.post(path, {"decision": "approve"})).json()["replayed"]
            refused = await visitor.post(path, {"decision": "reject"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
            await reader.heard("Locked.")
            await reader.until("RUN_FINISHED", runId=decided.json()["turn"])
        assert (await visitor.get()).json()["items"][-1]["text"] == "Locked."


async def test_a_clients_own_tool_is_answered_over_rest(core: OpenCore, settings: Any) -> None:
    tool = {"name": "pick", "description": "Pick one.", "parameters": {"type": "object", "properties": {}}}
    async with core([Call("pick", {}, id="call_a")], "Blue, then.") as door, serving(settings, door) as served:
        visitor = await served.visitor()
        async with visitor.watching() as reader:
            body = {"client_message_id": "1", "text": "Choose", "tools": [tool]}
            said = (await visitor.post("/messages", body)).json()
            finished = await reader.until("RUN_FINISHED", runId=said["turn"])
            [call] = finished["outcome"]["pendingToolCallIds"]
            assert (await visitor.post("/calls/unknown", {"output": "x"})).status_code == 404
            assert (await visitor.post(f"/calls/{call}", {"output": "blue"})).status_code == 202
            await reader.heard("Blue, then.")


async def test_an_operator_takes_the_floor_replies_and_gives_it_back(core: OpenCore, settings: Any) -> None:
    async with core("Me again.") as door, serving(settings, door) as served:
        visitor = await served.visitor()
        url = f"/operator/conversations/{visitor.conversation}"
        words = {"client_message_id": "1", "text": "Maya here."}
        assert (await served.http.post(f"{url}/messages", json=words, headers=served.operator)).status_code == 409
        assert (await served.http.post(f"{url}/floor", headers=served.operator)).status_code == 200
        colleague = {"Authorization": f"Bearer {OPERATOR_TOKEN}", "Parley-Operator": "Ben"}
        assert (await served.http.post(f"{url}/floor", headers=colleague)).status_code == 409
        async with visitor.watching() as reader:
            assert (await visitor.say("Hello?"))["turn"] is None
            await served.http.post(f"{url}/messages", json=words, headers=served.operator)
            start = await reader.until("TEXT_MESSAGE_START", name="Maya")
            assert start["metadata"]["author"] == "operator"
            await reader.heard("Maya here.")
            assert (await served.http.delete(f"{url}/floor", headers=served.operator)).status_code == 200
            await visitor.say("And now?")
            await reader.heard("Me again.")


async def test_an_operators_name_in_any_script_comes_percent_encoded(core: OpenCore, settings: Any) -> None:
    async with core() as door, serving(settings, door) as served:
        visitor = await served.visitor()
        url = f"/operator/conversations/{visitor.conversation}/floor"
        named = {**served.operator, "Parley-Operator": quote("Jürgen 李")}
        assert (await served.http.post(url, headers=named)).status_code == 200
        assert (await visitor.get()).json()["floor"]["name"] == "Jürgen 李"
        refused = await served.http.delete(url, headers={**served.operator, "Parley-Operator": "%20" * 9})
        assert (refused.status_code, refused.json()["error"]["field"]) == (422, "Parley-Operator")


async def test_what_is_exported_is_everything_and_what_is_erased_is_gone(core: OpenCore, settings: Any) -> None:
    async with core("Hello.") as door, serving(settings, door) as served:
        visitor = await served.visitor()
        async with visitor.watching() as reader:
            said = await visitor.say("My number is 4711")
            await reader.until("RUN_FINISHED", runId=said["turn"])
        exported = (await visitor.get("/export")).json()
        history = (await visitor.get("/history")).json()["events"]
        assert exported["events"][: len(history)] == history
        copy = (await visitor.post("/fork", {"at": 3})).json()["conversation"]
        assert (await visitor.get()).status_code == 200
        url = f"/conversations/{visitor.conversation}"
        assert (await served.http.delete(url, headers=visitor.headers)).status_code == 204
        assert (await visitor.get()).status_code == 404
        assert (await served.http.get(f"/conversations/{copy}", headers=visitor.headers)).status_code == 200


async def test_a_thread_whose_conversation_was_erased_starts_anew(core: OpenCore, settings: Any) -> None:
    async with core("One.", "Two.") as door, serving(settings, door) as served:
        visitor = await served.visitor()

        async def run(id_: str) -> str:
            body = {"threadId": "t", "runId": id_, "messages": [{"id": id_, "role": "user", "content": "Hi"}]}
            answer = await served.http.post("/agui/run", json=body, headers=visitor.headers)
            assert answer.status_code == 200, answer.text
            started = next(line for line in answer.text.split("\n") if line.startswith("data: "))
            return str(json.loads(started.removeprefix("data: "))["metadata"]["conversation"])

        first = await run("a")
        await served.http.delete(f"/conversations/{first}", headers=visitor.headers)
        assert await run("b") != first


async def test_the_start_page_says_what_is_running_and_loads_nothing(served: Served) -> None:
    page = await served.http.get("/")
    assert "scripted" in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for loading in ("src=", "url(", "@import", "<script", "<link", 'href="http'):
        assert loading not in page.text


async def test_pages_of_this_machine_may_call_while_developing_and_named_ones_in_production(
    core: OpenCore, settings: Any
) -> None:
    local, named = "http://localhost:5173", "https://shop.example"
    async with core() as door, serving(settings, door) as served:
        assert (await _asked_from(served, local)) == local
        assert (await _asked_from(served, named)) is None
    production = {"environment": "production", "allowed_origins": (named,)}
    async with core() as door, serving(settings.model_copy(update=production), door) as served:
        assert (await _asked_from(served, local)) is None
        assert (await _asked_from(served, named)) == named


async def _asked_from(served: Served, origin: str) -> str | None:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    answer = await served.http.options("/conversations", headers=headers)
    return answer.headers.get("access-control-allow-origin")


def test_the_signing_secret_is_made_once_and_kept_for_the_owner_alone(settings: Any, tmp_path: Any) -> None:
    _, token = Tokens(settings).visitor()
    assert Tokens(settings).who(token) is not None
    assert (tmp_path / "parley.secret").stat().st_mode & 0o777 == 0o600


def test_a_token_that_was_good_a_moment_ago_is_not_good_for_ever(settings: Any, monkeypatch: Any) -> None:
    tokens = Tokens(settings)
    token = tokens.sign(Principal("visitor", "visitor_1"), 60)
    assert tokens.who(token) is not None
    assert tokens.who(token[:-4] + "AAAA") is None
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    assert tokens.who(token) is None


def test_servers_that_share_a_database_must_be_given_a_secret(settings: Any) -> None:
    elsewhere = settings.model_copy(update={"database_url": "postgresql://localhost/parley"})
    with pytest.raises(SetupError, match="PARLEY_SECRET"):
        Tokens(elsewhere)
    Tokens(elsewhere.model_copy(update={"secret": SecretStr("s" * 32)}))


async def test_the_openapi_description_names_every_error(core: OpenCore, settings: Any) -> None:
    async with core() as door:
        schema = create_app(settings, door).openapi()
    assert yaml.safe_dump(schema)
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            if path not in PUBLIC:
                assert {"404", "422"} & set(operation["responses"]), f"{method} {path}"
                assert "503" in operation["responses"], f"{method} {path}"  # the database may be gone
            assert "HTTPValidationError" not in json.dumps(operation)


async def test_a_developers_token_opens_every_conversation(served: Served) -> None:
    visitor = await served.visitor()
    developer = Visitor(served, served.house.tokens.developer(), visitor.conversation)
    assert (await developer.get()).status_code == 200
