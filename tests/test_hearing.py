"""What was heard of an answer is kept where it was said."""

from __future__ import annotations

import pytest

from agent_core.events import MessageFinished
from agent_core.hearing import shares

ONE = MessageFinished("msg_1", "turn_1", "lead", "Let me see. ")
TWO = MessageFinished("msg_2", "turn_1", "lead", "It is 42, of course.")


@pytest.mark.parametrize(
    ("heard", "kept"),
    [
        ("Let me see. It is 42,", {"msg_2": "It is 42,"}),
        ("Let me see.It  is", {"msg_2": "It is"}),
        ("Let me", {"msg_1": "Let me", "msg_2": ""}),
        ("", {"msg_1": "", "msg_2": ""}),
        ("Let me see. It is 42, of course.", {}),
        ("Let me see. ", {"msg_2": ""}),
        ("Forty-two, I", {"msg_2": "Forty-two, I"}),
    ],
)
def test_each_message_keeps_its_part(heard, kept):
    assert {share.message: share.text for share in shares([ONE, TWO], heard)} == kept


def test_nothing_said_nothing_kept():
    assert shares([], "anything") == []
