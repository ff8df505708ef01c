"""The gateway: what fails is told in words, what keeps failing is left alone, and what has begun ends."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from agent_core.door import Principal
from agent_core.events import InterruptOpened, ToolFinished, TurnFinished, TurnWaiting
from agent_core.gateway import UNCHECKED, Gateway, Tool, title
from agent_core.site import customer_subject
from agent_core.team import Server, ToolRule
from agent_core.tool_servers import ServerConfig, ToolServers
from tests.conftest import ANA
from tests.scripted import Call
from tests.test_recovery import wreck

__all__ = ["wreck"]


async def test_a_tool_that_takes_too_long_ends_as_unknown(core, watching, shop, settings):
    text = settings.team_file.read_text()
    settings.team_file.write_text(text.replace("slow: {timeout: 30}", "slow: {timeout: 0.1}"))
    async with core([Call("slow")], "I don't know whether it was done.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        finished = await watch.event(ToolFinished)
        assert finished.status == "unknown"
        assert "OUTCOME UNKNOWN" in finished.output
        await watch.event(TurnFinished, status="done")
        shop.go.set()


@pytest.mark.parametrize(("rule", "told"), [("", [None, None]), (", identity: true", [None, "4711"])])
async def test_tools_know_who_is_signed_in_where_the_owner_lets_them(core, watching, shop, settings, rule, told):
    text = settings.team_file.read_text()
    settings.team_file.write_text(text.replace('create_server"}', f'create_server"{rule}}}'))
    mira = Principal("customer", customer_subject(ANA.site, "4711"), ANA.site)
    async with core([Call("lookup", {"q": "x"})], "42.", [Call("lookup", {"q": "x"})], "42.") as door:
        conversation = await door.start(ANA)
        first = await door.say(ANA, conversation, "Go", client_message_id="m1")
        await watching(door, ANA, conversation).event(TurnFinished, turn=first.turn)
        await door.hand_over(ANA, mira)
        second = await door.say(mira, conversation, "Go", client_message_id="m2")
        await watching(door, mira, conversation).event(TurnFinished, turn=second.turn)
    assert shop.looked_up_for == told


async def test_a_tool_that_keeps_timing_out_is_not_offered_for_a_while(core, watching, shop, settings):
    text = settings.team_file.read_text()
    settings.team_file.write_text(text.replace("slow: {timeout: 30}", "slow: {timeout: 0.05}"))
    async with core(*[[Call("slow")]] * 5, "Enough.", "Without it then.") as door:
        conversation = await door.start(ANA)
        watch = watching(door, ANA, conversation)
        first = await door.say(ANA, conversation, "Go", client_message_id="m1")
        await watch.event(TurnFinished, turn=first.turn)
        second = await door.say(ANA, conversation, "Go", client_message_id="m2")
        await watch.event(TurnFinished, turn=second.turn)
        models = door.turns._shop.models
        assert "slow" in models.tools[0]
        assert "slow" not in models.tools[-1]
        assert "Out of order at the moment, do not offer it: slow" in models.instructions[-1]
        shop.go.set()


async def test_every_call_carries_a_key_and_the_conversation(core, watching, shop):
    async with core([Call("charge", {"amount": 1}), Call("charge", {"amount": 2})], "Done.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        await watching(door, ANA, conversation).event(TurnFinished, status="done")
        keys = [key for _tool, _arguments, key in shop.effects]
        assert all(keys)
        assert len(set(keys)) == 2


async def test_a_call_id_that_a_provider_uses_again_is_another_call(core, watching, shop):
    step = [Call("charge", {"amount": 1}, id="call_1")]
    async with core(step, "One.", step, "Two.") as door:
        conversation = await door.start(ANA)
        watch = watching(door, ANA, conversation)
        for n in (1, 2):
            receipt = await door.say(ANA, conversation, "Go", client_message_id=f"m{n}")
            await watch.event(TurnFinished, turn=receipt.turn, status="done")
        assert shop.count("charge") == 2
        outputs = [i for i in door.turns._shop.models.seen[-1] if i.get("type") == "function_call_output"]
        assert len({i["call_id"] for i in outputs}) == 2


async def test_closing_waits_for_a_call_under_way(core, watching, shop):
    async with core([Call("slow")], "x") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        await asyncio.wait_for(shop.running.wait(), 20)
        await door.stop(ANA, conversation)
        shop.go.set()
    async with core() as door:
        events = [i.event for i in await door.history(ANA, conversation)]
        assert [e.status for e in events if isinstance(e, ToolFinished)] == ["ok"]


async def test_a_tool_keeps_its_rule_by_either_of_its_names(core, watching, shop, settings):
    text = settings.team_file.read_text()
    settings.team_file.write_text(text.replace("  lock: {approval", "  shop__lock: {approval"))
    async with core([Call("lock", {"card": "A-1"})], "Locked.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Lock it", client_message_id="m1")
        asked = await watching(door, ANA, conversation).event(InterruptOpened)
        assert (asked.tool, asked.title) == ("lock", "Locking card A-1")
        team = door._shop.team
    assert team.rule("shop__slow").timeout == 30  # as it is called when another server has a tool `slow`, too
    assert not team.rule("other__lock").approval


def test_a_title_is_in_the_customers_language_and_never_fails():
    rule = ToolRule(title={"en": "Locking {card}", "de": "{card} wird gesperrt"})
    assert title(rule, {"card": "A-1"}, "de") == "A-1 wird gesperrt"
    assert title(rule, {"card": "A-1"}, "fr") == "Locking A-1"
    assert title(rule, {}, "en") is None
    for hole in ("{card.number}", "{card[number]}", "{card:>99999999999}", "{card!r}", "{}"):
        assert title(ToolRule(title={"en": f"Locking {hole}"}), {"card": "A-1"}, "en") is None, hole
    assert title(ToolRule(title={"en": "Locking {card"}), {"card": "{pin}"}, "en") == "Locking {card"
    assert title(rule, {"card": "{pin}", "pin": "1"}, "en") == "Locking {pin}"


def released(settings: Any) -> None:
    """From the next start on, the shop's tools take other arguments."""
    text = settings.team_file.read_text()
    settings.team_file.write_text(text.replace("tests.shop:create_server", "tests.shop:create_changed_server"))


async def test_an_approved_call_that_its_tool_no_longer_takes_is_not_run(core, watching, shop, settings):
    async with core([Call("lock", {"card": "A-1"})]) as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Lock it", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        await watch.event(TurnWaiting)
        interrupt = (await watch.event(InterruptOpened)).interrupt
    released(settings)
    async with core("I could not lock it.") as door:
        await door.decide(ANA, conversation, interrupt, "approve")
        watch = watching(door, ANA, conversation)
        await watch.event(TurnFinished, status="done")
        finished = await watch.event(ToolFinished)
        assert shop.count("lock") == 0
        assert finished.status == "error"
        assert "'reason' is a required property" in finished.output
        assert finished.output.endswith("It was not done.")
        assert door.turns._shop.models.seen[0][-1]["output"] == finished.output


async def test_a_call_cut_in_the_middle_that_its_tool_no_longer_takes_is_unknown(core, watching, wreck, shop, settings):
    text = settings.team_file.read_text()
    settings.team_file.write_text(text.replace("slow: {timeout: 30}", "slow: {timeout: 30, idempotent: true}"))
    async with core([Call("slow")], "x") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Go", client_message_id="m1")
        await asyncio.wait_for(shop.running.wait(), 10)
        address = wreck()
        shop.go.set()
    released(settings)
    async with core("I am not sure it was done.", database_url=address) as door:
        watch = watching(door, ANA, conversation)
        await watch.event(TurnFinished, status="done")
        finished = await watch.event(ToolFinished)
        assert (finished.status, shop.count("slow")) == ("unknown", 1)
        assert "'seconds' is a required property" in finished.output
        assert "OUTCOME UNKNOWN" in finished.output


def problem(schema: dict[str, Any], arguments: Any) -> str | None:
    gateway = Gateway(ToolServers([]), {}, None, None)  # type: ignore[arg-type]
    return gateway.problem(Tool("foreign", "", schema, ToolRule()), arguments)


def of(part: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": part}, **more}


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        (of({"pattern": "^(a+)+$"}), {"a": "a" * 60 + "b"}),
        (of({"type": "array", "uniqueItems": True}), {"a": [{"n": n} for n in range(20_000)]}),
        (of({"$ref": "#/$defs/a"}, **{"$defs": {"a": {"$ref": "#/$defs/a"}}}), {"a": 1}),
        (of({"$ref": "#"}), deep(500)),
        (of({"$ref": "#nowhere"}), {"a": 1}),
        (of({"type": "strin"}), {"a": 1}),
        (of({"enum": 5}), {"a": 1}),
        (of({"multipleOf": 0.1}), {"a": 10**400}),
        ({"type": "object", "patternProperties": {"(": {}}}, {"a": 1}),
    ],
    ids=["pattern", "quadratic", "itself", "deep", "nowhere", "type", "enum", "huge", "name"],
)
def test_a_schema_that_cannot_be_followed_takes_nothing_and_stops_nobody(schema, arguments):
    assert problem(schema, arguments) == UNCHECKED


@pytest.mark.timeout(60)
@pytest.mark.parametrize("word", ["$ref", "$dynamicRef"])
def test_what_a_schema_refers_to_elsewhere_is_not_asked_for(word):
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        schema = of({word: f"http://127.0.0.1:{elsewhere.getsockname()[1]}/schema.json"})
        assert problem(schema, {"a": 1}) == UNCHECKED
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def test_a_pattern_of_another_dialect_is_for_the_server_to_check():
    words = of({"type": "string", "pattern": r"^\p{L}+$"})
    assert problem(words, {"a": "1"}) is None
    assert problem(words, {"a": 1}) == "a: 1 is not of type 'string'"
    assert problem(of({"pattern": "^[a-z]+$"}), {"a": "1"}) == "a: '1' does not match '^[a-z]+$'"
    assert problem(of({"pattern": "^[a-z]+$"}), {"a": "b"}) is None


async def test_no_tool_takes_the_full_name_of_another_servers():
    """What a rule, or an agent, calls `shop__lock` is the shop's, whatever others call theirs."""
    configs = [
        ServerConfig("shop", python="tests.shop:create_server"),
        ServerConfig("other", python="tests.shop:create_impostor"),
    ]
    servers = ToolServers(configs)
    await servers.start()
    try:
        named = {definition.name: definition.server for definition in servers.tools()}
    finally:
        await servers.aclose()
    assert "shop__lock" not in named
    assert named["other__shop__lock"] == "other"
    assert named["lock"] == "shop"


async def test_a_full_name_that_no_provider_takes_is_not_offered():
    """It would not be one call that fails, but every request of an agent that has the tool."""
    talkers = [ServerConfig(name, python="tests.shop:create_talker") for name in ("ab", "a-name-with-letters")]
    servers = ToolServers(talkers)
    await servers.start()
    try:
        assert [definition.name for definition in servers.tools()] == ["ab__" + "t" * 60]
    finally:
        await servers.aclose()


@pytest.mark.parametrize("name", ["a__b", "a_", "_a", "a___b"])
def test_a_servers_name_holds_nothing_that_parts_it_from_its_tools(name):
    """Else `a` with `b__c` and `a__b` with `c` are one name, one pin and one rule."""
    with pytest.raises(ValueError, match="name"):
        Server(name=name, python="tests.shop:create_server")


@pytest.mark.parametrize("name", ["a", "my_shop", "my-shop-2", "a_1", "a-_b", "a" * 31])
def test_any_other_name_is_a_servers(name):
    assert Server(name=name, python="tests.shop:create_server").name == name
