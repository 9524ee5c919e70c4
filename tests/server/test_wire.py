"""What crosses the socket: errors as what they are, and an event stream that any chunking leaves whole."""

from __future__ import annotations

from itertools import pairwise

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import example, given

from engine import events as log
from engine.agents.events import LogLine, Output
from engine.errors import (
    EntryError,
    HeadwayError,
    NoEngineError,
    NotFoundError,
    NotStartedError,
    RefusedError,
    StorageError,
    UsageError,
)
from engine.model import Progress
from engine.server.wire import KEEP_ALIVE, Frames, frame, from_wire, to_wire

# Characters that `str.splitlines` takes for the end of a line, and JSON does not.
_TEXTS = st.text(st.sampled_from('a: \n\r\u2028\u2029\x85\x0b\x0c\x1c\x1ddataid"\\') | st.characters(codec="utf-8"))
_LINES = st.builds(lambda text, n: LogLine(n, "stdout", n, Output(text)), _TEXTS, st.integers(0, 1 << 40))
_PROGRESS = st.builds(lambda text, n: Progress(job=n, attempt=n, line=text), _TEXTS, st.integers(0, 99))
_EVENTS = st.builds(lambda text, n: log.Event(seq=n, at=n, body=log.Held(text), job=1), _TEXTS, st.integers(1, 99))
_MESSAGES = st.lists(_LINES | _PROGRESS | _EVENTS | st.just(None), max_size=6)
_NAMES = {LogLine: "line", Progress: "progress", log.Event: "event"}


def fed(pieces: list[bytes]) -> list[tuple[str, bytes]]:
    frames = Frames()
    return [found for piece in pieces for found in frames.feed(piece)]


@given(_MESSAGES, st.lists(st.integers(0, 2_000), max_size=12))
@example([log.Event(seq=1, at=1, body=log.Held("a\u2028b\x85c\r\nd\n\nevent: x"), job=1)], [1, 2, 3])
def test_any_chunking_gives_the_same_messages(
    messages: list[LogLine | Progress | log.Event | None], cuts: list[int]
) -> None:
    stream = b"".join(KEEP_ALIVE if one is None else frame(one) for one in messages)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[start:end] for start, end in pairwise(edges)]
    wanted = [one for one in messages if one is not None]
    for chunks in (pieces, [stream], [stream[at : at + 1] for at in range(len(stream))]):
        found = fed(chunks)
        assert [name for name, _ in found] == [_NAMES[type(one)] for one in wanted]
        assert [
            msgspec.json.decode(data, type=type(one)) for (_, data), one in zip(found, wanted, strict=True)
        ] == wanted


def test_an_event_has_its_sequence_number_as_its_id_and_progress_has_none() -> None:
    assert frame(log.Event(seq=42, at=1, body=log.Due())).startswith(b"id: 42\nevent: event\ndata: {")
    assert b"id:" not in frame(Progress(job=1, attempt=1, line="x")).split(b"data")[0]


@given(_MESSAGES)
def test_a_frame_is_one_block_whatever_is_in_it(messages: list[LogLine | Progress | log.Event | None]) -> None:
    for one in messages:
        if one is not None:
            assert frame(one).count(b"\n\n") == 1
            assert frame(one).endswith(b"\n\n")
            assert b"\r" not in frame(one)


def test_half_a_message_waits_for_the_rest_and_a_comment_says_nothing() -> None:
    frames = Frames()
    assert list(frames.feed(b"event: line\ndata: {}\n")) == []
    assert list(frames.feed(b"\n" + KEEP_ALIVE)) == [("line", b"{}")]
    assert list(frames.feed(b"data: 1\n\n")) == [("message", b"1")]
    assert list(frames.feed(b"event: empty\n\n\n\n")) == []


@pytest.mark.parametrize("kind", [HeadwayError, UsageError, NoEngineError, NotFoundError, RefusedError, StorageError])
def test_an_error_crosses_the_socket_as_what_it_is(kind: type[HeadwayError]) -> None:
    there = from_wire(to_wire(kind("what was wrong")))
    assert type(there) is kind
    assert (str(there), there.exit_code, there.status) == ("what was wrong", kind.exit_code, kind.status)


def test_an_error_of_an_entry_keeps_its_place_and_a_finer_one_its_family() -> None:
    there = from_wire(to_wire(EntryError("wrong", 3, "agent", [EntryError("too", 4, "model")])))
    assert isinstance(there, EntryError)
    assert (str(there), there.entry, there.key) == ("wrong", 3, "agent")
    assert [(str(one), one.entry, one.key) for one in there.others] == [("too", 4, "model")]
    assert type(from_wire(to_wire(NotStartedError("not yet")))) is NotFoundError


def test_an_error_of_a_later_version_is_still_an_error() -> None:
    wire = to_wire(UsageError("x"))
    assert type(from_wire(msgspec.structs.replace(wire, error="quota"))) is HeadwayError
