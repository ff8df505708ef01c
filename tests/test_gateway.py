"""The gateway: what fails is told in words, what keeps failing is left alone, and what has begun ends."""

from __future__ import annotations

import asyncio

from agent_core.events import InterruptOpened, ToolFinished, TurnFinished
from agent_core.gateway import title
from agent_core.team import ToolRule
from tests.conftest import ANA
from tests.scripted import Call


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
        await asyncio.wait_for(shop.running.wait(), 5)
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
