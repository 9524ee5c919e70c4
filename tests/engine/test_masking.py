"""Secrets in what comes piece by piece: covered where they stand, whatever the pieces are, and nothing else moves."""

from __future__ import annotations

import json
import re

import hypothesis.strategies as st
from hypothesis import given, settings

from engine.redact import Masker, Secrets
from engine.redact.masking import CONTEXT, cover
from tests.engine.test_redact import B64, KEYS, PEM

KNOWN = "Zq9-known-value-of-a-test-Zq9"
PLANTED = [*KEYS.values(), KNOWN, f"https://me:{'pa55word'}@host/x", PEM, json.dumps(PEM)]
FILLER = [
    "a line of output",
    '{"text":"nothing"}',
    "x" * 700,
    "d670460b4b4aece5915caf5c68d12f560a9fe3e4",
    "",
]


def secrets() -> Secrets:
    one = Secrets()
    one.learn([KNOWN])
    return one


def covered(pieces: list[bytes], masker: Masker) -> bytes:
    """The stream once everything that was told has been written over it."""
    stream = bytearray()
    for piece in pieces:
        stream += piece
        for at, one in masker.take(piece):
            stream[at : at + len(one)] = one
    return bytes(stream)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(PLANTED + FILLER), max_size=8), st.lists(st.integers(5, 400), min_size=1, max_size=30))
def test_no_secret_is_left_however_the_stream_is_cut(lines: list[str], sizes: list[int]) -> None:
    stream = "".join(f"say {line}\n" for line in lines).encode()
    pieces, at = [], 0
    while at < len(stream):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(stream[at : at + size])
        at += size
    left = covered(pieces, Masker(secrets().spans))
    assert len(left) == len(stream)
    for secret in (*KEYS.values(), KNOWN, "pa55word", B64[:40], B64[70:110]):
        assert secret.encode() not in left
    for line in set(FILLER) & set(lines):
        assert f"say {line}\n".encode() in left
    assert left.count(b"\n") == stream.count(b"\n")
    assert covered([left], Masker(secrets().spans)) == left, "what is covered stays as it is"


def test_a_known_value_over_two_lines_is_covered_when_the_second_comes() -> None:
    left = covered([f"one {KNOWN[:11]}\n".encode(), f"{KNOWN[11:]} two\n".encode()], Masker(secrets().spans))
    assert re.fullmatch(rb"one \[key\]\*+\n\*+ two\n", left)


def test_a_long_quiet_stream_is_not_held() -> None:
    masker = Masker(secrets().spans)
    for _ in range(100):
        assert masker.take(b"nothing is in this line\n" * 100) == []
        assert len(masker._held) <= CONTEXT


def test_json_with_a_cover_in_it_is_json_of_the_same_length() -> None:
    line = json.dumps({"text": f"a\n{KEYS['github']}", "key": PEM}).encode()
    left = covered([line], Masker(secrets().spans))
    assert len(left) == len(line)
    assert set(json.loads(left)) == {"text", "key"}


def test_what_covers_says_what_it_is_and_keeps_its_lines() -> None:
    assert cover(b"12345678") == b"[key]***"
    assert cover(b"ab\ncdefgh") == b"**\n******"
    assert Secrets().out_of("said [key]***, and [key]") == "said [key], and [key]"
