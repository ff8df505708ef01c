"""The format of transcripts: read, written, compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.repl.transcript import ACTORS, KINDS, BadTranscript, Line, all_fit, difference, fits, parse, steps, write

EXAMPLE = """\
# a lost phone
you   > I lost my phone. I am C-1004.
tool  > find_customer {"customer_number": "C-1004"} = ok
hand  > greeter -> verification
agent > Thank you.

          indented code
        What is your date of birth?
...
you   > /approve
ends  > stopped
"""


def test_a_transcript_is_read_line_by_line_and_comments_are_left_out() -> None:
    lines = parse(EXAMPLE)
    assert [line.kind for line in lines] == ["you", "tool", "hand", "agent", "any", "you", "ends"]
    assert lines[3].text == "Thank you.\n\n  indented code\nWhat is your date of birth?"
    assert lines[3].place == 5


def test_a_transcript_falls_into_what_is_done_and_what_is_expected_of_it() -> None:
    first, second = steps(parse(EXAMPLE))
    assert first.acts[0].text.startswith("I lost")
    assert [e.kind for e in first.expected] == ["tool", "hand", "agent", "any"]
    assert second.acts[0].text == "/approve"
    assert [e.text for e in second.expected] == ["stopped"]


def test_a_stop_belongs_to_what_it_stops() -> None:
    (step,) = steps(
        parse('you > Tell me all\ntool > a {} = ok\nyou > /stop after "We open"\nagent > We open...\nends > stopped\n')
    )
    assert [act.text for act in step.acts] == ["Tell me all", '/stop after "We open"']
    assert [line.kind for line in step.expected] == ["tool", "agent", "ends"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("me > hello\n", "line 1"),
        ("you > hello\nbla bla\n", "line 2"),
        ("        floating\n", "line 1"),
        ("...\n        floating\n", "line 2"),
    ],
)
def test_what_is_no_transcript_is_refused_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(BadTranscript, match=complaint):
        parse(text)


def test_nothing_can_be_expected_before_something_is_done() -> None:
    with pytest.raises(BadTranscript, match="line 2"):
        steps(parse("# hm\nagent > Hello\n"))


# The first line of a text tells how it is meant, so it is neither blank nor indented; later lines may be both.
_WORDS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20).map(str.rstrip)
_TEXTS = st.lists(_WORDS, max_size=4).map(lambda parts: "\n".join(parts).strip())
_LINES = st.builds(Line, st.sampled_from(KINDS[:-1]), _TEXTS)


@given(st.lists(_LINES, max_size=6))
def test_what_is_written_reads_back_the_same(lines: list[Line]) -> None:
    assert [(line.kind, line.text) for line in parse(write(lines))] == [(line.kind, line.text) for line in lines]


@given(_LINES)
def test_a_recorded_line_expects_itself(line: Line) -> None:
    assert fits(parse(write([line]))[0], line)


@pytest.mark.parametrize(
    ("expected", "got", "fit"),
    [
        ("Thank you, Ana.", "Thank you, Ana.", True),
        ("Thank you, Ana.", "Thank you, Ann.", False),
        ("Thank you,\nAna.", "Thank you, Ana.", True),
        ("Thank ... Ana.", "Thank you very\nmuch, Ana.", True),
        ("...", "anything", True),
        ("~ much", "Thank you very much, Ana.", True),
        ("~ little", "Thank you very much, Ana.", False),
        ("a.c", "abc", False),
        ("Thank", "Thank you", False),
    ],
)
def test_an_expectation_is_a_text_with_gaps(expected: str, got: str, fit: bool) -> None:
    assert fits(Line("agent", expected), Line("agent", got)) is fit


def test_the_output_of_a_tool_may_be_named_or_left_out() -> None:
    got = Line("tool", "get_balance {} = ok", "get_balance {} = ok 2939")
    assert fits(Line("tool", "get_balance {} = ok"), got)
    assert fits(Line("tool", "get_balance {...} = ok 29..."), got)
    assert not fits(Line("tool", "get_balance {} = ok 11"), got)


def test_lines_are_compared_in_order_and_none_too_many() -> None:
    a, b = Line("agent", "a"), Line("agent", "b")
    gap = Line("any", "")
    assert all_fit([a, b], [a, b])
    assert not all_fit([a, b], [b, a])
    assert not all_fit([a], [a, b])
    assert not all_fit([a, b], [a])
    assert all_fit([gap, b], [a, a, b])
    assert all_fit([a, gap], [a])


def test_a_difference_shows_what_was_right_and_what_was_not() -> None:
    expected = parse("agent > Hello\ntool > a {} = ok\nagent > Bye\n")
    got = parse("agent > Hello\ntool > b {} = ok\nagent > Bye\n")
    assert difference(expected, got) == "  agent > Hello\n- tool  > a {} = ok\n+ tool  > b {} = ok\n  agent > Bye"


def test_a_difference_with_a_gap_shows_all_that_came() -> None:
    expected = parse("you > x\n...\nagent > Bye\n")[1:]
    assert difference(expected, [Line("agent", "one"), Line("agent", "two")]) == (
        "- agent > Bye\n+ agent > one\n+ agent > two"
    )


def test_whoever_acts_is_a_kind_of_line() -> None:
    assert set(ACTORS) < set(KINDS)
