"""How the bytes of a provider become events and words, wherever they are torn."""

from __future__ import annotations

import pytest

from agent_core.provider_events import EVENT_BYTES, STREAM_BYTES, EventDecoder
from agent_core.provider_stream import Spoken


def test_a_stream_torn_at_every_byte_decodes_the_same():
    stream = ': hi\n\nevent: a\ndata: {"é": "👋"}\n\ndata:1\ndata: 2\n\n\nid: 3\ndata: end\n\n'
    for newline in ("\n", "\r\n", "\r"):
        data = stream.replace("\n", newline).encode()
        wanted = [(b"", b""), (b"a", '{"é": "👋"}'.encode()), (b"", b"1\n2"), (b"", b"end")]
        for cut in range(len(data) + 1):
            decoder = EventDecoder()
            got = decoder.feed(data[:cut]) + decoder.feed(data[cut:]) + decoder.feed(b"\n\n")
            assert got == wanted, (newline, cut)


def test_an_event_without_end_is_refused():
    decoder = EventDecoder()
    piece = b"x" * 1_000_000
    with pytest.raises(ValueError, match="too large"):
        for _ in range(EVENT_BYTES // len(piece) + 1):
            decoder.feed(piece)


def test_events_without_end_are_refused():
    decoder = EventDecoder()
    piece = b": thinking\n\n" * 100_000
    with pytest.raises(ValueError, match="too large"):
        for _ in range(STREAM_BYTES // len(piece) + 1):
            decoder.feed(piece)


def test_halves_of_a_character_are_joined_and_a_lone_half_is_replaced():
    spoken = Spoken()
    spoken.add("wave \ud83d")
    assert spoken.take() == "wave "
    spoken.add("\udc4b!")
    assert spoken.take() == "👋!"
    spoken.add("\ud83d")
    assert spoken.take(last=True) == "\ufffd"
    assert spoken.text == "wave 👋!\ufffd"


def test_json_in_one_piece_is_held_and_its_blank_lines_are_no_ends():
    data = b'\r\n \n{"a":\n\n "data: \\n\\n", "b": {}}\n\n'
    for cut in range(len(data) + 1):
        decoder = EventDecoder()
        assert decoder.feed(data[:cut]) + decoder.feed(data[cut:]) == []
        assert (decoder.plain, decoder.body().strip()) == (True, data.strip())
