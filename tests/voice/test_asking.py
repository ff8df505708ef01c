"""Who may say yes by voice, and when."""

from __future__ import annotations

import pytest

from agent_core.events import InterruptOpened, Logged
from agent_core.snapshot import empty, fold
from voice.asking import Asking, Heard, as_asked

CUSTOMER = "customer-ana"


@pytest.fixture
def asking() -> Asking:
    """A question, read to its end at second 100."""
    asking = Asking(CUSTOMER, "en")
    asking.opened(InterruptOpened("int_1", "turn_1", "call_1", "lock", '{"card":"A1"}', "", "ana", 0))
    reading = asking.reading()
    assert reading is not None
    assert reading.interrupt == "int_1"
    asking.was_read("int_1", 100.0)
    return asking


def decided(asking: Asking, text: str, *, speaker: str = CUSTOMER, began: float | None = 101.0) -> str | None:
    answer = asking.answer(Heard(text, speaker, began))
    return answer[0] if answer else None


def test_a_question_that_waited_before_the_call_is_asked_in_its_own_words():
    opened = InterruptOpened(
        "int_1", "t", "c", "lock", '{"why":"x1"}', "", "ana", 0, labels={"why": "Reason"}, shown={"why": "Lost"}
    )
    (item,) = fold(empty("conv_1"), Logged(1, 1, opened))["items"]
    asking = Asking(CUSTOMER, "en")
    asking.opened(as_asked(item))
    reading = asking.reading()
    assert reading is not None
    assert reading.text.startswith("lock. Reason: Lost. Shall")


def test_a_yes_right_after_the_question_approves(asking):
    assert decided(asking, "Yes.") == "approve"


def test_a_no_rejects(asking):
    assert decided(asking, "No.") == "reject"


def test_a_yes_that_began_while_the_question_was_read_approves_nothing(asking):
    assert decided(asking, "Yes.", began=99.9) == "again"


def test_a_late_yes_approves_nothing(asking):
    assert decided(asking, "Yes.", began=113.0) == "again"


def test_a_yes_of_which_nobody_knows_when_it_began_approves_nothing(asking):
    assert decided(asking, "Yes.", began=None) == "again"


def test_a_yes_after_something_else_approves_nothing(asking):
    assert decided(asking, "Hm, wait a moment.") is None
    assert decided(asking, "Yes.") == "again"


def test_somebody_elses_yes_is_nothing_to_us_and_the_customers_still_counts(asking):
    assert decided(asking, "Yes.", speaker="somebody") is None
    assert decided(asking, "Yes.") == "approve"


def test_a_question_that_was_interrupted_is_read_once_more_and_then_the_screen_decides():
    asking = Asking(CUSTOMER, "en")
    asking.opened(InterruptOpened("int_1", "turn_1", "call_1", "lock", '{"card":"A1"}', "", "ana", 0))
    asking.reading()
    assert decided(asking, "Yes.") == "again"
    asking.reading()
    assert decided(asking, "Yes.") == "screen"
    reading = asking.reading()
    assert reading is not None
    assert reading.interrupt is None
    assert "screen" in reading.text


def test_a_question_that_was_settled_on_the_screen_can_not_be_answered_by_voice(asking):
    asking.closed("int_1")
    assert decided(asking, "Yes.") is None


def test_two_questions_are_asked_one_after_the_other(asking):
    asking.opened(InterruptOpened("int_2", "turn_1", "call_2", "lock", '{"card":"B2"}', "", "ana", 0))
    assert asking.current.interrupt == "int_1"
    assert asking.answer(Heard("Yes.", CUSTOMER, 101.0))[1].interrupt == "int_1"
    asking.closed("int_1")
    reading = asking.reading()
    assert reading is not None
    assert reading.interrupt == "int_2"
    assert decided(asking, "Yes.") == "again"  # the first question's reading says nothing of the second
