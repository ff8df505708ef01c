"""The command in scripts and in CI: one question, a transcript that is run, one that is recorded; how it leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agent_core.errors import AnswerCut, Conflict, ModelUnavailable
from app.repl import exit_codes, loop
from app.repl.commands import act, act_all
from app.repl.transcript import Line, parse
from tests.scripted import Call, Fail, Hold
from tests.talk import talk

LOCK = Call("lock", {"card": "A-1", "note": "lost"})


# ---- once


async def test_once_prints_the_answer_alone_and_the_rest_aside(core):
    async with talk(core, [Call("lookup", {"q": "x"})], "It is 42.", kind="answer") as it:
        assert await loop.once(it.chat, "Hi", yes=False, seconds=20) == exit_codes.OK
        assert it.out.getvalue() == "It is 42.\n"
        assert 'tool  > lookup {"q": "x"} = ok\n# first word' in it.aside.getvalue()


async def test_once_can_be_recorded(core, tmp_path: Path):
    async with talk(core, [LOCK], "Locked.", kind="answer") as it:
        it.chat.record(tmp_path / "t.txt")
        await loop.once(it.chat, "Lock my card", yes=True, seconds=20)
        it.chat.record(None)
        assert [line.kind for line in parse((tmp_path / "t.txt").read_text())] == [
            "you",
            "asks",
            "you",
            "tool",
            "agent",
        ]


async def test_json_prints_every_event_and_every_piece_of_text(core):
    async with talk(core, "Hello there.", kind="json") as it:
        await loop.once(it.chat, "Hi", yes=False, seconds=20)
        events = [json.loads(line) for line in it.out.getvalue().splitlines()]
        types = [event["type"] for event in events]
        assert types[:2] == ["message.added", "turn.started"]
        assert types[-2:] == ["message.finished", "turn.finished"]
        assert "".join(event["text"] for event in events if event["type"] == "text.delta") == "Hello there."


@pytest.mark.parametrize(
    ("model", "yes", "code"),
    [
        (["Hello."], False, exit_codes.OK),
        ([[Fail(ModelUnavailable())]], False, exit_codes.PROVIDER),
        ([["We open ", Fail(AnswerCut())]], False, exit_codes.PROVIDER),
        ([[LOCK], "Locked."], False, exit_codes.REFUSED),
        ([[LOCK], "Locked."], True, exit_codes.OK),
    ],
    ids=["ok", "provider down", "answer cut", "waits for a yes", "says yes"],
)
async def test_the_exit_code_of_once_says_how_it_went(core, model: Sequence[Any], yes: bool, code: int):
    async with talk(core, *model, kind="answer") as it:
        assert await loop.once(it.chat, "Lock my card", yes=yes, seconds=20) == code


async def test_a_guardrail_has_its_own_exit_code(core):
    async with talk(core, kind="answer") as it:
        assert await loop.once(it.chat, "darn it", yes=False, seconds=20) == exit_codes.REFUSED
        assert it.out.getvalue() == "Let's stay polite.\n"
        assert "ends  > done: guardrail" in it.aside.getvalue()


async def test_a_turn_that_takes_too_long_has_its_own_exit_code(core):
    async with talk(core, [Hold()], kind="answer") as it:
        assert await loop.once(it.chat, "Hi", yes=False, seconds=0.05) == exit_codes.TIMEOUT


# ---- scripts


async def test_a_script_that_holds_is_silent(core):
    async with talk(core, [Call("lookup", {"q": "x"})], "It is 42, I think.") as it:
        result = await it.script("you > Hi\ntool > lookup {...} = ok ~\ntool > lookup {...} = ok\nagent > ~ 42\n")
        assert result.code == exit_codes.EXPECTATION_FAILED
    async with talk(core, [Call("lookup", {"q": "x"})], "It is 42, I think.") as it:
        result = await it.script("you > Hi\ntool > lookup {...} = ok\nagent > ~ 42\n")
        assert (result.code, result.report) == (exit_codes.OK, "")


async def test_a_failed_expectation_says_where_and_what(core):
    async with talk(core, "Hello.", "never asked") as it:
        result = await it.script("# greeting\nyou > Hi\nagent > Good day.\nyou > Bye\nagent > ...\n")
        assert result.code == exit_codes.EXPECTATION_FAILED
        assert result.report == "line 2: not as expected\n  you   > Hi\n- agent > Good day.\n+ agent > Hello."


async def test_a_script_tells_a_failing_provider_from_a_failing_expectation(core):
    async with talk(core, [Fail(ModelUnavailable())]) as it:
        assert (await it.script("you > Hi\nagent > Hello.\n")).code == exit_codes.PROVIDER
    async with talk(core, [Fail(ModelUnavailable())]) as it:
        assert (await it.script("you > Hi\nends > failed: model_unavailable\n")).code == exit_codes.OK


async def test_a_script_that_gets_no_answer_times_out(core):
    async with talk(core, [Hold()]) as it:
        result = await it.script("you > Hi\nagent > Hello.\n", seconds=0.05)
        assert result.code == exit_codes.TIMEOUT
        assert "nothing more came in 0.05 s" in result.report


async def test_calls_made_side_by_side_are_told_in_the_order_they_were_made(core, shop):
    async with talk(core, [Call("slow"), Call("lookup", {"q": "x"})], "Both done.") as it:
        asking = asyncio.create_task(it.pipe("Hi"))
        async with asyncio.timeout(20):
            await shop.running.wait()
            await it.chat.session.until(
                lambda: any(i.get("status") == "ok" for i in it.chat.session.snapshot["items"] if i["kind"] == "tool")
            )
            shop.go.set()
            await asking
        told = [line.text for line in parse(it.printed) if line.kind == "tool"]
        assert told == ["slow {} = ok", 'lookup {"q": "x"} = ok']


# ---- recording


async def test_a_recording_replays(core, tmp_path: Path):
    model = (["One moment. ", LOCK], "Locked.", [Call("transfer_to_expert")], "I know more.", "Bye.")
    async with talk(core, *model) as it:
        await it.pipe(
            f"/record {tmp_path}/t.txt", "Lock my card", "/usage", "/approve", "The expert, please",
            "/floor take Maya", "/say Maya here.", "/floor give", "Bye", "/record off", "Not recorded",
        )  # fmt: skip
    recorded = (tmp_path / "t.txt").read_text()
    assert "/usage" not in recorded
    assert "Not recorded" not in recorded
    assert "oper  > Maya here." in recorded
    async with talk(core, *model) as it:
        result = await it.script(recorded)
        assert result.report == ""


async def test_a_recording_that_cannot_be_written_is_refused(core, tmp_path: Path):
    async with talk(core) as it:
        with pytest.raises(Conflict, match="written"):
            await act(it.chat, Line("you", f"/record {tmp_path}/no/such/folder"))


async def test_several_acts_at_once_are_one_and_its_stop(core):
    async with talk(core, ["One two three ", Hold()]) as it:
        async with asyncio.timeout(20):
            await act_all(it.chat, [Line("you", "Count"), Line("you", '/stop after "two three"')])
        assert it.printed.endswith("agent > One two three\nends  > stopped\n")
