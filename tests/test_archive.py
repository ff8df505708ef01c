"""A conversation as a whole: copied up to a place, erased from every file."""

from __future__ import annotations

import pytest

from agent_core.door import Principal
from agent_core.errors import Invalid, NotFound
from agent_core.events import TurnFinished
from tests.conftest import ANA, each_database

pytestmark = each_database


async def test_a_fork_is_the_callers_own_and_the_original_stays(core, watching):
    async with core("Hello.", "In the copy.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "Hi", client_message_id="m1")
        await watching(door, ANA, conversation).event(TurnFinished)
        before = await door.snapshot(ANA, conversation)
        copy = await door.fork(ANA, conversation)
        receipt = await door.say(ANA, copy, "And you?", client_message_id="m1")
        await watching(door, ANA, copy).event(TurnFinished, turn=receipt.turn)
        assert await door.snapshot(ANA, conversation) == before
        forked = await door.snapshot(ANA, copy)
        assert forked["forked_from"] == conversation
        assert [i["text"] for i in forked["items"]] == ["Hi", "Hello.", "And you?", "In the copy."]


async def test_a_fork_of_an_earlier_place_knows_nothing_of_what_was_set_later(core, watching):
    developer = Principal("developer", "developer")
    async with core("Hello.", "Gern.") as door:
        conversation = await door.start(ANA)
        first = await door.say(ANA, conversation, "Hm", client_message_id="m1")
        watch = watching(door, ANA, conversation)
        await watch.event(TurnFinished, turn=first.turn)
        place = (await door.history(ANA, conversation))[-1].seq
        await door.configure(developer, conversation, model="other")
        second = await door.say(ANA, conversation, "Ich habe eine Frage zu meiner Rechnung", client_message_id="m2")
        await watch.event(TurnFinished, turn=second.turn)
        copy = (await door.export(developer, await door.fork(developer, conversation, place)))["conversation"]
        assert (copy["model"], copy["language"]) == (None, None)
        whole = (await door.export(developer, await door.fork(developer, conversation)))["conversation"]
        assert (whole["model"], whole["language"]) == ("other", "de")


async def test_a_fork_behind_the_end_is_refused_and_makes_no_copy(core):
    async with core() as door:
        conversation = await door.start(ANA)
        (begun,) = await door.history(ANA, conversation)
        for at in (begun.seq + 1, 0, -1):
            with pytest.raises(Invalid, match=r"at: the conversation has the events 1 to 1$"):
                await door.fork(ANA, conversation, at)
        assert [one.conversation for one in await door.list(ANA)] == [conversation]
        assert await door.fork(ANA, conversation, begun.seq)


async def test_what_is_erased_is_in_no_file_any_more(core, watching, tmp_path):
    async with core("A CANARY answer.") as door:
        conversation = await door.start(ANA)
        await door.say(ANA, conversation, "My CANARY secret", client_message_id="m1")
        await watching(door, ANA, conversation).event(TurnFinished)
        await door.erase(ANA, conversation)
        with pytest.raises(NotFound):
            await door.snapshot(ANA, conversation)
        for file in tmp_path.glob("parley.db*"):
            assert b"CANARY" not in file.read_bytes()
