"""Frames come out of a stream as they were put in, however the stream is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import HeadwayError
from engine.remote.frames import DATA_MOST, Frame, Frames, Kind, room

frames = st.builds(Frame, st.sampled_from(Kind), st.integers(0, 2**32 - 1), st.binary(max_size=40))


@given(st.lists(frames, max_size=6), st.lists(st.integers(1, 30), min_size=1, max_size=40))
def test_frames_survive_any_cut(sent: list[Frame], cuts: list[int]) -> None:
    stream = b"".join(frame.encoded() for frame in sent)
    reader, found, at = Frames(), [], 0
    for size in [*cuts, len(stream)]:
        found += reader.feed(stream[at : at + size])
        at += size
    assert found == sent


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 400 Bad Request\r\n", Frame(Kind.DATA, 1).encoded()[:5] + (DATA_MOST + 1).to_bytes(4) + b"x"]
)
def test_what_is_no_frame_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(HeadwayError, match="another language"):
        Frames().feed(data)


def test_room_is_a_number() -> None:
    assert room(3, 70_000).room == 70_000
    with pytest.raises(HeadwayError):
        _ = Frame(Kind.ROOM, 3, b"x").room
