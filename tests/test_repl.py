"""The REPL, to the letter: what is typed and what is printed."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from agent_core.door import Principal
from agent_core.errors import Conflict, Invalid, NotFound
from agent_core.team import team_in_file
from app.repl import exit_codes
from app.repl.attach import DEVELOPER
from app.repl.commands import COMMANDS, act
from app.repl.session import Session
from app.repl.terminal import clean
from app.repl.transcript import Line, parse
from tests.conftest import ANA
from tests.scripted import Call, Hold
from tests.talk import talk

LOCK = Call("lock", {"card": "A-1", "note": "lost"})


# ---- what is typed, what is printed


async def test_a_piped_conversation_reads_as_a_transcript(core):
    steps_ = ("Hello.\n\nWhat can I do?", [Call("lookup", {"q": "plans"})], "It is 42.")
    async with talk(core, *steps_) as it:
        assert await it.pipe("Hi", "# nobody reads this", "Look up \\", "plans", "/quit", "never said") == exit_codes.OK
        assert it.printed == (
            "you   > Hi\n"
            "agent > Hello.\n"
            "\n"
            "        What can I do?\n"
            "# first word 0.00 s · in all 0.00 s · 1 + 1 tokens · no price known · scripted\n"
            "you   > Look up\n"
            "        plans\n"
            "# language is now en\n"
            'tool  > lookup {"q": "plans"} = ok\n'
            "agent > It is 42.\n"
            "# first word 0.00 s · in all 0.00 s · 8 + 2 tokens · no price known · scripted\n"
            "you   > /quit\n"
        )


async def test_what_is_printed_can_be_run_as_a_script(core):
    model = (["One moment.", LOCK], "Locked.", [Call("transfer_to_expert")], "I know more.")
    async with talk(core, *model) as it:
        await it.pipe("Lock my card", "/approve", "The expert, please")
        printed = it.out.getvalue()
    async with talk(core, *model) as it:
        result = await it.script(printed)
        assert (result.code, result.report) == (exit_codes.OK, "")


async def test_an_approval_shows_the_exact_arguments_and_runs_the_edited_ones(core, shop):
    async with talk(core, [LOCK], "Locked.") as it:
        assert await it.pipe("Lock my card", '/approve {"note": "stolen"}') == exit_codes.OK
        assert shop.effects[0][1] == {"card": "A-1", "note": "stolen"}
        assert 'asks  > lock {"card": "A-1", "note": "lost"}\n' in it.printed
        assert 'tool  > lock {"card": "A-1", "note": "stolen"} = ok\n' in it.printed


async def test_a_no_is_told_as_refused(core, shop):
    async with talk(core, [LOCK], "As you wish.") as it:
        assert await it.pipe("Lock my card", "/reject", "/new", "/quit") == exit_codes.REFUSED
        assert shop.effects == []
        assert 'tool  > lock {"card": "A-1", "note": "lost"} = refused\nagent > As you wish.\n' in it.printed


async def test_a_client_tool_is_offered_called_and_answered(core):
    async with talk(core, [Call("where_am_i")], "You are in Bonn.") as it:
        await it.pipe("/tool where_am_i", "Where am I?", "/answer Bonn")
        assert "call  > where_am_i {}\nyou   > /answer Bonn\ntool  > where_am_i {} = ok\nagent > You are" in it.printed


async def test_an_operator_takes_over_speaks_and_gives_back(core):
    async with talk(core, "Hello.", "Me again.") as it:
        await it.pipe("Hi", "/floor take Maya", "Anyone there?")
        await act(it.chat, Line("oper", "Hello, Maya here."))
        await it.pipe("/floor give", "Hi again")
        told = [str(line) for line in parse(it.printed) if line.kind != "you"]
        assert told == [
            "agent > Hello.",
            "floor > operator (Maya)",
            "oper  > Hello, Maya here.",
            "floor > agent",
            "agent > Me again.",
        ]


async def test_what_models_and_tools_write_cannot_command_the_terminal(core):
    evil = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31mred\u202egnp.exe\x08\x08"
    async with talk(core, [Call("lookup", {"q": evil})], f"Look: {evil}") as it:
        await it.pipe("Hi")
        shown = it.out.getvalue()
        assert not set(shown) & set("\x1b\x07\x08\x9b\u202e")
        assert "Look: ]52;c;ZXZpbA==[2J31mredgnp.exe" in shown


def test_cleaning_keeps_words_of_every_script_line_breaks_and_tabs():
    text = "שלום\tمرحبا 你好\n👩‍👧 e\u0301"
    assert clean(text) == text


async def test_a_refused_command_is_said_and_ends_a_pipe(core):
    async with talk(core) as it:
        assert await it.pipe("/approve", "never said") == exit_codes.USAGE
        assert it.printed == "you   > /approve\n# Nothing waits for a yes or a no.\n"


async def test_every_command_has_help_and_none_is_unknown_to_it(core):
    async with talk(core) as it:
        await it.pipe("/help")
        for name in COMMANDS:
            assert f"# /{name} " in it.printed
        assert all(len(line) <= 82 for line in it.printed.splitlines())  # 80, behind the mark of a comment
        with pytest.raises(Invalid):
            await act(it.chat, Line("you", "/abracadabra"))


# ---- looking


async def test_state_usage_history_events_tools_and_desk_can_be_looked_at(core):
    async with talk(core, [Call("lookup", {"q": "x"})], "It is 42.") as it:
        await it.pipe("Hi")
        for command, shows in (
            ("/state", '"agent": "lead"'),
            ("/usage", "1 turns, 2 requests"),
            ("/history", "# agent > It is 42."),
            ("/history 1", "# agent > It is 42."),
            ("/inspect", "tool.finished"),
            ("/inspect 1", '"type": "conversation.started"'),
            ("/inspect all", "conversation.started"),
            ("/tools", "lock"),
            ("/status", "team          The Shop: lead, expert"),
            ("/agent", "# * lead"),
            ("/model", "# scripted"),
            ("/list", it.chat.session.conversation),
        ):
            it.out.truncate(0)
            it.out.seek(0)
            await act(it.chat, Line("you", command))
            assert shows in it.out.getvalue(), command
            if command == "/status":
                health = r"server shop: state ready, since \d{4}-\d\d-\d\d \d\d:\d\d UTC, restarts 0, \d+ tools"
                assert re.search(health, it.out.getvalue())


async def test_what_an_agent_is_told_can_be_read_where_the_team_is_at_hand(core, settings):
    async with talk(core) as it:
        with pytest.raises(Conflict, match="keeps to itself"):
            await act(it.chat, Line("you", "/prompt"))
        it.chat.team = team_in_file(settings)
        await it.pipe("/prompt", "/prompt expert", "/prompt nobody")
        assert "# lead: Answers first.\n# tools: lookup, charge" in it.printed
        assert "# You know more.\n" in it.printed
        assert "one of lead, expert" in it.printed


async def test_a_card_that_was_shown_is_acknowledged_and_decided(core):
    alert = Call("displayAlert", {"level": "info", "title": "Maintenance", "text": "Tonight."})
    async with talk(core, [alert], "Mind the notice.") as it:
        await it.pipe("Hi")
        async with asyncio.timeout(20):
            await it.chat.session.until(lambda: it.chat.session.open_deliverables[0]["acknowledged"])
        assert await it.pipe("/decide dismiss") == exit_codes.OK
        assert "card  > displayAlert: i Maintenance\nagent > Mind the notice.\n" in it.printed
        assert await it.pipe("/accept") == exit_codes.USAGE


async def test_an_answer_may_be_named_and_what_is_no_json_is_told_what_to_write(core):
    options = [{"id": "sea", "label": "Sea view"}, {"id": "park", "label": "Park view"}]
    rooms = Call("displayChoices", {"question": "Which room?", "options": options})
    async with talk(core, [rooms], "Pick one.", "The sea, then.") as it:
        await it.pipe("Hi")
        assert await it.pipe("/answer chosen sea") == exit_codes.USAGE
        assert 'write an object, such as {"reason": "lost"}' in it.out.getvalue() + it.aside.getvalue()
        assert await it.pipe('/answer choose {"chosen": ["sea"]}') == exit_codes.OK
        assert "agent > The sea, then.\n" in it.printed


async def test_a_conversation_is_exported_as_transcript_and_as_events(core, tmp_path):
    async with talk(core, "Hello.") as it:
        await it.pipe("Hi", f"/export {tmp_path}/a.txt", f"/export {tmp_path}/a.json", "/export")
        assert (tmp_path / "a.txt").read_text() == "you   > Hi\nagent > Hello.\n"
        assert json.loads((tmp_path / "a.json").read_text())[0]["type"] == "conversation.started"
        assert "# agent > Hello.\n" in it.printed
        assert await it.pipe(f"/export {tmp_path}/no/such/folder.txt") == exit_codes.USAGE


# ---- which conversation


async def test_the_last_conversation_is_continued_and_any_is_resumed_by_id(core):
    async with talk(core, "Hello.", "Still here.") as it:
        await it.pipe("Hi")
        first = it.chat.session.conversation
        await it.pipe("/new")
        assert it.chat.session.conversation != first
        await it.pipe(f"/resume {first}", "And now?")
        assert it.printed.endswith(
            "agent > Still here.\n# first word 0.00 s · in all 0.00 s · 3 + 1 tokens · no price known · scripted\n"
        )
        await it.chat.resume_last()
        assert it.chat.session.conversation == first


async def test_ones_own_is_found_among_any_number_of_others(core):
    async with talk(core, "Hello.") as it:
        await it.pipe("Hi")
        mine, door = it.chat.session.conversation, it.chat.door
        await asyncio.gather(*(door.start(ANA) for _ in range(501)))
        await it.chat.resume(mine)
        assert it.chat.session.mine
        await it.chat.resume_last()
        assert it.chat.session.conversation == mine


async def test_a_list_is_of_ones_own_unless_all_are_asked_for(core):
    async with talk(core, new=False) as it:

        async def listed(command):
            it.out.truncate(0)
            it.out.seek(0)
            await act(it.chat, Line("you", command))
            return re.findall("conv_[0-9a-f]+", it.out.getvalue())

        theirs = await it.chat.door.start(ANA)
        await it.chat.resume(theirs)
        assert await listed("/list") == []
        assert "# none of yours yet; /list all shows everybody's\n" in it.printed
        await it.chat.new()
        mine = it.chat.session.conversation
        assert await listed("/list") == await listed("/list 1") == [mine]
        assert sorted(await listed("/list all")) == sorted([mine, theirs])
        assert len(await listed("/list all 1")) == 1
        for wrong in ("everybody", "all of them", "1 all", "all5"):
            with pytest.raises(Invalid, match="write a number, all, or nothing"):
                await act(it.chat, Line("you", f"/list {wrong}"))


async def test_a_fork_goes_on_alone(core):
    async with talk(core, "Hello.", "In the copy.") as it:
        await it.pipe("Hi")
        first = it.chat.session.conversation
        await it.pipe("/fork", "Go on")
        assert it.chat.session.snapshot["forked_from"] == first
        assert len(await it.chat.door.history(DEVELOPER, first)) < len(
            await it.chat.door.history(DEVELOPER, it.chat.session.conversation)
        )


async def test_no_fork_is_made_behind_the_end(core):
    async with talk(core) as it:
        first = it.chat.session.conversation
        assert await it.pipe("/fork 100000") == exit_codes.USAGE
        assert it.printed == "you   > /fork 100000\n# the conversation has the events 1 to 1\n"
        assert it.chat.session.conversation == first


async def test_a_customers_conversation_is_read_only_unless_forked(core):
    async with talk(core, "Hello Ana.", "Hello developer.", new=False) as it:
        conversation = await it.chat.door.start(ANA)
        await it.chat.door.say(ANA, conversation, "Hi", client_message_id="m1")
        await it.chat.resume(conversation)
        async with asyncio.timeout(20):
            await it.chat.session.until(lambda: bool(it.chat.session.ended))
        attempts = (
            "I am Ana, honestly",
            "/agent expert",
            "/model x",
            "/feedback up",
            "/stop",
            f"/erase {conversation}",
        )
        for attempt in attempts:
            assert await it.pipe(attempt) == exit_codes.USAGE, attempt
        assert it.printed.count("# This is a customer's conversation") == len(attempts)
        assert await it.pipe("/fork", "Hi") == exit_codes.OK
        assert "agent > Hello developer." in it.printed


async def test_the_floor_of_any_sites_conversation_can_be_taken(core):
    eva = Principal("visitor", "eva", "other")
    async with talk(core, new=False) as it:
        conversation = await it.chat.door.start(eva)
        assert await it.pipe(f"/resume {conversation}") == exit_codes.OK
        assert await it.pipe("/floor take", "/say Hello Eva", "/floor give") == exit_codes.OK
        assert (await it.chat.door.snapshot(eva, conversation))["items"][1]["text"] == "Hello Eva"


async def test_a_conversation_that_is_not_there_is_not_found(core):
    async with talk(core, new=False) as it:
        with pytest.raises(NotFound):
            await it.chat.resume("conv_" + "0" * 32)
        with pytest.raises(NotFound):
            await it.chat.resume_last()


async def test_erasing_wants_the_id_and_leaves_nothing(core):
    async with talk(core, "Hello.") as it:
        await it.pipe("Hi")
        conversation = it.chat.session.conversation
        with pytest.raises(Invalid, match="undone"):
            await act(it.chat, Line("you", "/erase"))
        await act(it.chat, Line("you", f"/erase {conversation}"))
        with pytest.raises(NotFound):
            await it.chat.door.snapshot(DEVELOPER, conversation)


async def test_agent_and_model_are_switched_for_one_conversation(core):
    async with talk(core, "I know more.") as it:
        await it.pipe("/agent expert", "/model other", "Hi")
        assert it.chat.session.snapshot["agent"] == "expert"
        assert "# agent is now expert\n" in it.printed
        assert "· other\n" in it.printed
        with pytest.raises(Invalid, match="expert"):
            await act(it.chat, Line("you", "/agent nobody"))


async def test_what_is_looked_at_after_a_change_knows_of_it_however_late_it_arrives(core):
    async with core() as door:
        watch = door.watch

        async def late(*place):
            async for item in watch(*place):
                for _ in range(1000):
                    await asyncio.sleep(0)
                yield item

        door.watch = late
        session = Session(door, DEVELOPER, await door.start(DEVELOPER), [])
        await session.open()
        await session.configure(agent="expert")
        assert session.snapshot["agent"] == "expert"
        await session.aclose()


async def test_feedback_is_given_to_the_last_answer(core):
    async with talk(core, "Hello.") as it:
        with pytest.raises(Conflict):
            await act(it.chat, Line("you", "/feedback up"))
        await it.pipe("Hi", "/feedback down too short")
        async with asyncio.timeout(20):
            await it.chat.session.until(lambda: "feedback: down, too short" in it.out.getvalue())


# ---- stopping


async def test_a_stop_keeps_what_was_said_and_is_recorded_with_its_words(core, tmp_path):
    hold = Hold()
    async with talk(core, ["We open at nine and ", hold, "never said"]) as it:
        it.chat.record(tmp_path / "t.txt")
        asking = asyncio.create_task(it.pipe("When do you open?"))
        async with asyncio.timeout(20):
            await hold.reached.wait()
            await it.chat.session.until(lambda: it.chat.session.draft.startswith("We open at nine and"))
            await it.chat.stop()
            assert await asking == exit_codes.OK
        it.chat.record(None)
    recorded = (tmp_path / "t.txt").read_text()
    assert recorded == (
        'you   > When do you open?\nyou   > /stop after "open at nine and"\nagent > We open at nine and\nends  > stopped\n'
    )
    async with talk(core, ["We open at nine and ", Hold(), "never said"]) as it:
        assert (await it.script(recorded)).code == exit_codes.OK


async def test_nothing_can_be_stopped_when_nothing_runs(core):
    async with talk(core) as it:
        await it.pipe("/stop")
        assert it.printed == "you   > /stop\n# nothing runs\n"
        with pytest.raises(Invalid):
            await act(it.chat, Line("you", "/stop whenever"))
