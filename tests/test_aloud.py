"""What of a text is said, and what stays on the screen: the same, however it comes in pieces."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_core.aloud import aloud
from agent_core.events import MessageFinished
from agent_core.hearing import shares

LIST = "Here are two:\n\n- **Pure S** (`pure-s`): €9.99\n- **Pure M**: €14.99\n\nWhich one?"
TABLE = "Here are two:\n\n| Plan | Price |\n|---|---:|\n| Pure S | €9.99 |\n| Pure M | €14.99 |\n\nWhich one?"
SAID = "Here are two:\n\nON SCREEN\n\nWhich one?"


async def said(text: str, size: int) -> str:
    async def coming():
        for begin in range(0, len(text), size):
            yield text[begin : begin + size]

    return "".join([words async for words in aloud(coming(), lambda: "ON SCREEN")])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 1000])
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (LIST, SAID),
        (LIST.replace("- ", "1. "), SAID),
        (LIST.replace("- ", "* ").replace("\n\nW", "\n\n\nW"), SAID.replace("\n\nW", "\n\n\nW")),
        ("- one\n  and more\n\n- two\n\n  and more\n\nDone", "ON SCREEN\n\nDone"),
        ("- one\n- two\nDone", "ON SCREEN\nDone"),
        ("Only this:\n- one\n\nDone", "Only this:\none\n\nDone"),
        ("1. January is a holiday.\n\nSo is the 6th.", "1. January is a holiday.\n\nSo is the 6th."),
        ("-5 degrees, 3.5 metres\n2026 was warm", "-5 degrees, 3.5 metres\n2026 was warm"),
        (TABLE, SAID),
        ("| a | b |", " a , b \n"),
        ("Run this:\n```sh\n- make\n| all |\n```\nThen wait.", "Run this:\nON SCREEN\nThen wait."),
        ("```sh\nmake", "ON SCREEN\n"),
        ("# Hours\n> From nine\n---\nto five", "Hours\nFrom nine\n\nto five"),
        ("See https://www.example.com/help?id=1. Or ask.", "See example.com. Or ask."),
        (
            "See [the page](https://example.com/a/b) or <https://example.org>",
            "See [the page](example.com) or example.org",
        ),
        ("He said hello to the https people, 3 <4", "He said hello to the https people, 3 <4"),
        ("Is 5 > 3? C# and ticket # 17: x >= 10", "Is 5 > 3? C# and ticket # 17: x >= 10"),
        ("1. Mon - Fri we are open.\nSo we are.", "1. Mon - Fri we are open.\nSo we are."),
        ("See https://example.com/a\nDo it with vitamin h\n.", "See example.com\nDo it with vitamin h\n."),
        ("", ""),
    ],
)
async def test_what_is_for_the_eye_is_not_said(text, wanted, size):
    assert await said(text, size) == wanted


SCRAPS = [
    "C#",
    " and ",
    "5 > 3",
    "\n",
    "\n\n",
    "- ",
    "1. ",
    "| a | b |",
    "|---|---|",
    "# ",
    "> ",
    "```",
    "---",
    "a|b",
    ".",
    " ",
]
SCRAPS += [
    "https://www.example.com/a.",
    "h",
    "ht",
    "http",
    "<",
    "[a b](http://x/y)",
    "\t",
    "~~no~~",
    "**b**",
    "\r",
    "x",
    "- one\n",
    "  more\n",
    "1. two\n",
    "| c |\n",
    "```\n",
]


@given(st.lists(st.sampled_from(SCRAPS), max_size=14).map("".join), st.integers(1, 7))
def test_it_is_the_same_however_it_comes(text, size):
    assert asyncio.run(said(text, size)) == asyncio.run(said(text, len(text) + 1))


@pytest.mark.parametrize(
    "text",
    [" " * 60_000 + "x", "http:" * 12_000 + " x", "http://a/" + ".," * 30_000 + '"', "_ " * 30_000, "-" * 60_000 + "x"],
)
async def test_no_text_stops_the_clock(text):
    """Some took a minute, and all that the process did stood still; the bound is processor time."""
    began = time.process_time()
    await said(text, 1000)
    shares([MessageFinished("m1", "t1", "a", text)], "none of it")
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    "text",
    ["| a | b |\n" * 12_000, "- one\n" * 20_000, "- one\n" + "  and more\n" * 11_000, "- a\n- b\n" + "\n" * 120_000],
)
async def test_a_long_table_costs_what_its_length_costs(text):
    """Each line was once looked at again with each that came after it; the bound is processor time."""
    began = time.process_time()
    await said(text, 4)
    assert time.process_time() - began < 10


async def test_what_was_said_to_be_on_the_screen_is_not_said_again_in_another_language():
    lines = iter(["On your screen.", "Auf Ihrem Bildschirm zu sehen."])

    async def coming():
        for words in ("- one\n- two\n", "- three\n\n", "Which one?"):
            yield words

    heard = "".join([words async for words in aloud(coming(), lambda: next(lines))])
    assert heard == "On your screen.\n\nWhich one?"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 1000])
async def test_of_a_table_that_begins_like_a_sentence_no_more_than_that_line_is_said(size):
    text = "Here are two:\n\nPlan | Price\n--- | ---:\nPure S | €9.99\nPure M | €14.99\n\nWhich one?"
    assert await said(text, size) == "Here are two:\n\nPlan , Price\nON SCREEN\n\nWhich one?"


@pytest.mark.parametrize("size", [1, 3, 7])
async def test_words_are_said_as_soon_as_they_come(size):
    text = "Gladly. We open at nine, as always."
    coming = [text[begin : begin + size] for begin in range(0, len(text), size)]
    sent, heard = "", ""

    async def slowly():
        nonlocal sent
        for words in coming:
            assert len(sent) - len(heard) <= 1  # an "h" may begin an address
            sent += words
            yield words

    async for words in aloud(slowly(), lambda: ""):
        heard += words
    assert heard == text


@pytest.mark.parametrize(
    ("heard", "kept"),
    [
        ("Here are", "Here are"),
        ("Here are two:", "Here are two:"),
        ("Here are two: You see it", LIST.removesuffix("\n\nWhich one?")),
        ("Here are two: You see it on your screen.", LIST.removesuffix("\n\nWhich one?")),
        ("Here are two: Sie sehen es auf Ihrem Bildschirm. Which", LIST.removesuffix(" one?")),
        ("Here are two: You see it on your screen. Which one?", None),
        ("Here are two: Pure S (pure-s)", "Here are two: Pure S (pure-s)"),  # by a model that has its own way
        ("Here are two:\n\n- **Pure S** (`pure", "Here are two:\n\n- **Pure S** (`pure"),  # as it stands there
    ],
)
def test_what_was_said_to_be_on_the_screen_stays_there_when_the_customer_breaks_in(heard, kept):
    message = MessageFinished("msg_1", "turn_1", "lead", LIST)
    assert [share.text for share in shares([message], heard)] == ([kept] if kept is not None else [])


def test_what_was_heard_ends_where_it_did_also_behind_marks_and_addresses():
    text = "It is **[here](https://example.com/a)**, or at https://www.example.org/b/c. Bye."
    message = MessageFinished("msg_1", "turn_1", "lead", text)
    (share,) = shares([message], "It is here, or at example.org.")
    assert share.text == text.removesuffix(" Bye.")
