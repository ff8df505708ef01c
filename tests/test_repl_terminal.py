"""The REPL at a terminal: keys in, a screen out."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput
from prompt_toolkit.patch_stdout import StdoutProxy
from rich.console import Console

from agent_core.events import DeliverableShown, Logged, MessageFinished, TextDelta
from app.repl import exit_codes
from app.repl.attach import DEVELOPER
from app.repl.cards import hints, summary
from app.repl.chat import Chat
from app.repl.loop import Interactive
from app.repl.narrator import Narrator
from app.repl.printer import TerminalPrinter
from app.repl.reader import Commands, Reader, history
from tests.scripted import Call, Hold

ENTER, CTRL_C, CTRL_D, ESC = "\r", "\x03", "\x04", "\x1b"
LOCK = Call("lock", {"card": "A-1", "note": "lost"})


@dataclass
class Seat:
    """Somebody at a terminal."""

    chat: Chat
    keys: PipeInput
    interactive: Interactive
    out: io.StringIO

    async def sit(self, *keys: str) -> int:
        """Type all of it, then leave by Ctrl-D."""
        self.keys.send_text("".join(keys) + CTRL_D)
        async with asyncio.timeout(10):
            return await self.interactive.run()

    @property
    def screen(self) -> str:
        return "\n".join(line.rstrip() for line in self.out.getvalue().splitlines())


def screen(width: int = 80) -> tuple[TerminalPrinter, io.StringIO]:
    out = io.StringIO()
    return TerminalPrinter(Console(file=out, width=width, force_terminal=False)), out


@asynccontextmanager
async def seat(core: Any, *model: Any, reads: type[Reader] = Reader) -> AsyncIterator[Seat]:
    printer, out = screen()
    with create_pipe_input() as keys:
        reader = reads(lambda _command: (), history=InMemoryHistory(), input=keys, output=DummyOutput())
        async with core(*model) as door:
            chat = Chat(door, DEVELOPER, printer)
            await chat.new()
            try:
                yield Seat(chat, keys, Interactive(chat, reader, printer), out)
            finally:
                await chat.aclose()


# ---- keys


async def test_a_question_is_typed_and_answered(core):
    async with seat(core, "Hello **there**.") as it:
        assert await it.sit("Hi", ENTER) == exit_codes.OK
        assert "agent > Hello there." in it.screen
        assert "first word" in it.screen


async def test_a_message_may_have_several_lines(core):
    async with seat(core, "Hello.") as it:
        await it.sit("one\\", ENTER, "two", ESC + ENTER, "three", ENTER)
        said = [i for i in it.chat.session.snapshot["items"] if i["kind"] == "message"]
        assert said[0]["text"] == "one\ntwo\nthree"


async def test_an_approval_is_asked_with_its_exact_arguments_and_answered_by_a_key(core, shop):
    async with seat(core, [LOCK], "Locked.") as it:
        await it.sit("Lock my card", ENTER, "y", ENTER)
        assert shop.effects[0][1] == {"card": "A-1", "note": "lost"}
        assert "asks  > lock\n          card: A-1\n          note: lost\n          may be changed: note" in it.screen
        assert 'tool  > lock {"card": "A-1", "note": "lost"} = ok' in it.screen


async def test_an_approval_that_waits_in_a_conversation_is_asked_as_it_is_gone_on_with(core, shop):
    async with seat(core, [LOCK], "Locked.") as it:
        await it.chat.session.say("Lock my card")
        await it.chat.resume(it.chat.session.conversation)
        assert await it.sit("y", ENTER) == exit_codes.OK
        assert shop.count("lock") == 1
        assert "agent > Locked." in it.screen


async def test_an_approval_is_refused_by_a_key(core, shop):
    async with seat(core, [LOCK], "As you wish.") as it:
        await it.sit("Lock my card", ENTER, "n", ENTER)
        assert shop.effects == []
        assert "= refused" in it.screen


async def test_what_may_be_edited_is_edited_before_it_runs(core, shop):
    async with seat(core, [LOCK], "Locked.") as it:
        await it.sit("Lock my card", ENTER, "e", ENTER, " on the train", ENTER)
        assert shop.effects[0][1] == {"card": "A-1", "note": "lost on the train"}


@pytest.mark.parametrize("key", ["l" + ENTER, CTRL_C, ENTER])
async def test_an_approval_may_be_put_off(core, shop, key):
    async with seat(core, [LOCK], "Locked.") as it:
        await it.sit("Lock my card", ENTER, key)
        assert shop.effects == []
        assert "put off" in it.screen
        assert it.chat.session.open_interrupts


@pytest.mark.parametrize("typed", ["/approve", "what?\r/help approve\ry"])
async def test_a_command_or_a_slip_at_the_question_puts_nothing_off(core, shop, typed):
    async with seat(core, [LOCK], "Locked.") as it:
        await it.sit("Lock my card", ENTER, typed, ENTER)
        assert shop.effects[0][1] == {"card": "A-1", "note": "lost"}
        assert "put off" not in it.screen


async def test_a_mistake_is_said_and_the_conversation_goes_on(core):
    async with seat(core, "Hello.") as it:
        await it.sit("/abracadabra", ENTER, "/approve", ENTER, "Hi", ENTER)
        assert "there is no /abracadabra" in it.screen
        assert "Nothing waits for a yes or a no." in it.screen
        assert "agent > Hello." in it.screen


async def test_ctrl_c_at_the_prompt_leaves_when_it_comes_twice(core):
    async with seat(core) as it:
        it.keys.send_text(CTRL_C + CTRL_C)
        async with asyncio.timeout(20):
            assert await it.interactive.run() == exit_codes.INTERRUPTED
        assert "Ctrl-C again to leave" in it.screen


async def test_ctrl_c_clears_what_is_typed_and_leaves_only_at_an_empty_prompt(core):
    async with seat(core, "Hello.") as it:
        assert await it.sit("half ty", CTRL_C, "ped", CTRL_C, "Hi", ENTER) == exit_codes.OK
        said = [i["text"] for i in it.chat.session.snapshot["items"] if i["kind"] == "message"]
        assert said == ["Hi", "Hello."]
        assert "again to leave" not in it.screen


async def test_what_happens_while_a_question_is_open_is_printed_above_it(core, shop):
    above = []

    class Looking(Reader):
        async def ask(self, question: str, default: str = "") -> str:
            above.append(isinstance(sys.stdout, StdoutProxy))
            return await super().ask(question, default)

    async with seat(core, [LOCK], "As you wish.", reads=Looking) as it:
        await it.sit("Lock my card", ENTER, "n", ENTER)
    assert above == [True]


async def test_ctrl_c_stops_the_answer_and_what_was_said_stays(core):
    async with seat(core, ["We open at nine ", Hold()]) as it:
        it.keys.send_text("When?" + ENTER)
        running = asyncio.create_task(it.interactive.run())
        async with asyncio.timeout(20):
            await it.chat.session.until(lambda: "nine" in it.chat.session.draft)
            os.kill(os.getpid(), signal.SIGINT)
            await it.chat.session.until(lambda: bool(it.chat.session.ended))
            it.keys.send_text(CTRL_D)
            assert await running == exit_codes.OK
        assert "agent > We open at nine\nends  > stopped" in it.screen


async def test_quit_leaves(core):
    async with seat(core) as it:
        it.keys.send_text("/quit" + ENTER)
        async with asyncio.timeout(20):
            assert await it.interactive.run() == exit_codes.OK


def completed(text: str, words: Sequence[str] = ()) -> list[str]:
    completer = Commands(lambda _command: words)
    return [c.text for c in completer.get_completions(Document(text), CompleteEvent())]


def test_commands_and_their_words_are_completed():
    assert completed("/fo") == ["fork"]
    assert {"tool", "tools"} <= set(completed("/to"))
    assert completed("/agent ex", ["lead", "expert"]) == ["expert"]
    assert completed("Hello /fo") == []
    assert completed("/feedback up well do", ["down"]) == []


def test_what_was_typed_is_kept_for_its_owner_alone(tmp_path):
    path = tmp_path / "state" / "parley" / "history"
    history(path).append_string("/help")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert isinstance(history(tmp_path / "state" / "parley"), InMemoryHistory)  # a folder: nowhere to write


# ---- the screen


def shown(printer: TerminalPrinter, *items: Any) -> None:
    narrator = Narrator()
    for item in items:
        printer.shown(item, narrator.tell(item))


def said(text: str, size: int = 7) -> list[Any]:
    """As it is watched: in pieces, then whole."""
    pieces = [text[n : n + size] for n in range(0, len(text), size)]
    deltas = [TextDelta(1, "msg_1", "turn_1", "lead", n * size, piece) for n, piece in enumerate(pieces)]
    return [*deltas, Logged(2, 0, MessageFinished("msg_1", "turn_1", "lead", text))]


MARKDOWN = "First paragraph.\n\n- one\n- two\n\n```\ncode\n\nmore code\n```\n\nLast **words**."


@pytest.mark.parametrize("busy", [True, False])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_growing_answer_stands_on_the_screen_once(busy, size):
    printer, out = screen()
    if busy:
        printer.begin()
    shown(printer, *said(MARKDOWN, size))
    printer.end()
    text = out.getvalue()
    for words in ("First paragraph.", " • one", "code", "more code", "Last words."):
        assert text.count(words) == (2 if words == "code" else 1), words
    assert text.count("agent >") == 1
    lines = [line.strip() for line in text.splitlines()]
    assert lines[: lines.index("• two") + 1] == ["agent > First paragraph.", "", "• one", "• two"]


def test_links_are_shown_and_never_hidden_behind_words():
    printer, out = screen()
    shown(printer, *said("See [your bill](https://evil.example)."))
    assert "https://evil.example" in out.getvalue()


def test_escape_sequences_of_a_model_do_not_reach_the_terminal():
    out = io.StringIO()
    printer = TerminalPrinter(Console(file=out, width=80, force_terminal=True, color_system=None))
    shown(printer, *said("\x1b]0;title\x07\x1b[2Jwords [bold red]of mine[/] \x9b5m"))
    assert "words [bold red]of mine[/]" in out.getvalue()
    assert not set("\x07\x9b") & set(out.getvalue())
    assert "\x1b]0" not in out.getvalue()
    assert "\x1b[2J" not in out.getvalue()


ALERT = {"level": "warning", "title": "Card locked", "text": "Call \x1b[31mus."}


@pytest.mark.parametrize("width", [30, 80])
def test_a_deliverable_is_a_card_that_says_what_to_type(width):
    printer, out = screen(width)
    shown(printer, Logged(1, 0, DeliverableShown("dlv_1", 2, "displayAlert", ALERT, "turn_1", "c1", ("dismiss",))))
    assert "! Card locked" in out.getvalue()
    assert "2)" in out.getvalue()
    assert "/decide dismiss" in out.getvalue()
    assert "\x1b" not in out.getvalue()
    assert all(len(line) <= width for line in out.getvalue().splitlines())


def test_a_kind_that_is_not_known_here_is_drawn_from_its_fields():
    printer, out = screen()
    payload = {"title": "Seat 12A", "gate": "B7"}
    shown(
        printer, Logged(1, 0, DeliverableShown("dlv_1", 1, "displaySeat", payload, "turn_1", "c1", ("accept", "swap")))
    )
    assert "Seat 12A" in out.getvalue()
    assert "B7" in out.getvalue()
    assert "/accept" in out.getvalue()
    assert summary("displaySeat", payload) == "displaySeat: Seat 12A"


def test_the_hints_hold_the_names_that_the_card_has():
    form = {"fields": [{"name": "email", "label": "E-mail"}, {"name": "phone", "label": "Phone"}]}
    assert hints("displayForm", form, ("submit", "cancel")) == [
        '/answer {"values": {"email": "...", "phone": "..."}}',
        "/decide cancel",
    ]
    choices = {"question": "Which?", "options": [{"id": "a", "label": "A"}]}
    assert hints("displayChoices", choices, ("choose", "none")) == ['/answer {"chosen": ["a"]}', "/decide none"]
    checklist = {"title": "Steps", "items": [{"id": "restart", "label": "Restart"}]}
    assert hints("displayChecklist", checklist, ("update",)) == ['/answer {"done": ["restart"]}']
    offer = {"offer_id": "OF-1"}
    assert hints("displayOffer", offer, ("accept", "decline", "edit")) == [
        "/accept",
        "/decline",
        '/answer {"wish": "..."}',
    ]
