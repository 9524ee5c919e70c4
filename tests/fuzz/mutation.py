"""Changes of what is understood, so that an input comes past the first check and meets the later ones.

By hypothesis: what these readers stand on (msgspec, libyaml, h11, re) is C, whose branches a fuzzer of bytecode cannot
see, so that the shape of an input leads further in than the coverage of Python does; and what is found is shrunk.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import yaml
from hypothesis import strategies as st

from tests.fuzz.target import Form, Target

Draw = Callable[[st.SearchStrategy[Any]], Any]

LIMIT = 100_000  #: bytes of an input

#: What readers trip over, whatever they read.
NASTY_TEXT = (
    "", " ", "\0", "\x1b[31m", "\x1b]0;t\x07", "\u202e", "\u2028", "\ufeff", "\ud800", "é", "e\u0301", "ﬁ", "😀", "²",
    "٣",
    "../../etc/passwd", "/etc/passwd", "..", ".", "/", "~", "~root", "-", "--", "a" * 300, "a" * 5_000, "%s%n{0}{}",
    "'",
    '"', "\\", "' OR 1=1 --", '"a" OR b*', "NEAR(", "null", "true", "NaN", "1e999", "9" * 30, "9" * 5_000, "-0", "0x10",
    "1_000", "!!python/object/apply:os.system [id]", "&a [*a]", "<<", "=", "2026-13-45T25:61Z",
    "0001-01-01T00:00+23:59",
    "9999-12-31T23:59:59-23:59", "24:00", "* * * * *", "*/0 * * * *", "0 0 31 2 *", "\r\n", "\n---\n", "{{what}}",
    "${HOME}",
    "$(id)", "|", "(a+)+$", "[", "project:/x", "persona:../x", "claude:opus@work", ":", "@", "::@@", ",,,", "!", "!!",
)  # fmt: skip
NASTY_NUMBERS = (0, -1, 1, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30, 0.5, -0.0, 1e308, 1e-308)
#: As they stand in a text, for what no value of Python can say.
NASTY_BYTES = (
    b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\0", b"\x1b", b"1e999", b"NaN", b"-", b"9" * 5_000, b"[" * 2_000,
    b"{" * 200,
    b'{"a":' * 300, b'"\\ud800"', b'"\\u0000"', b"\n", b"\r\n", b": ", b"- ", b"? ", b"&a ", b"*a", b"<<: ",
    b"!!binary ",
    b"!!python/name:os.system ", b"|\n", b">-\n", b"%YAML 9.9\n", b"---\n", b"...\n", b"\t", b"#", b'"', b"'", b"\\",
    b"{",
    b"}", b"[", b"]", b",", b"\xe2\x80\xa8", b"\xc2\x85", b"0b1", b"0o7", b"190:20:30", b".inf", b".nan", b"~", b"y",
    b"2026-01-01",
)  # fmt: skip


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Changed seeds of a target, and now and then a seed as it is."""
    return _changed(tuple(target.seeds()), (*NASTY_BYTES, *target.words), target.form)


@st.composite
def _changed(draw: Draw, seeds: Sequence[bytes], words: Sequence[bytes], form: Form) -> bytes:
    data: bytes = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        try:
            if form is not Form.WORDS and draw(st.booleans()):
                data = _by_shape(draw, data, seeds, form)
            else:
                data = _by_bytes(draw, data, seeds, words)
        except MemoryError:  # a thousand times a thousand times a thousand: it stays as it was
            break
    return data[:LIMIT]


def _by_bytes(draw: Draw, data: bytes, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    at = draw(st.integers(0, len(data)))
    match draw(st.integers(0, 6)):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + data[at + draw(st.integers(1, 40)) :]
        case 2:
            return data[:at] + draw(st.sampled_from(words)) + data[at:]
        case 3:
            return data[:at] + draw(st.binary(max_size=6)) + data[at + draw(st.integers(0, 6)) :]
        case 4:
            piece = data[at : at + draw(st.integers(1, 60))]
            return data[:at] + piece * draw(st.sampled_from((2, 3, 50, 1_000))) + data[at:]
        case 5:
            other: bytes = draw(st.sampled_from(seeds))
            return data[:at] + other[draw(st.integers(0, len(other))) :]
        case _:
            text = draw(st.sampled_from(NASTY_TEXT)).encode(errors="surrogatepass")
            return data[:at] + bytes(text) + data[at:]


def _by_shape(draw: Draw, data: bytes, seeds: Sequence[bytes], form: Form) -> bytes:
    match form:
        case Form.LINES:
            lines = data.split(b"\n")
            at = draw(st.integers(0, len(lines) - 1))
            if draw(st.integers(0, 3)) == 0:
                other = draw(st.sampled_from(seeds)).split(b"\n")
                lines.insert(at, other[draw(st.integers(0, len(other) - 1))])
            else:
                lines[at] = _value(draw, lines[at])
            return b"\n".join(lines)
        case Form.HEADED:
            before, rule, rest = data.partition(b"---\n")
            head, end, body = rest.partition(b"\n---")
            return before + rule + _value(draw, head) + end + body
        case Form.HTTP:
            head, gap, body = data.partition(b"\r\n\r\n")
            changed = _value(draw, body)
            if draw(st.integers(0, 4)):
                head = _measured(head, len(changed))
            return head + gap + changed
        case _:
            return _value(draw, data)


def _measured(head: bytes, length: int) -> bytes:
    """A head whose `Content-Length` is right."""
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    return b"\r\n".join([*lines, b"Content-Length: %d" % length])


def _value(draw: Draw, text: bytes) -> bytes:
    """A document with another value somewhere in it, as JSON, which is YAML too."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            value = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        except (yaml.YAMLError, ValueError, RecursionError):
            return text
    path = draw(st.lists(st.integers(0, 40), min_size=1, max_size=6))
    changed = _at(value, path, lambda old: _other(draw, old))
    try:
        return json.dumps(changed, ensure_ascii=draw(st.booleans()), default=str).encode(errors="surrogatepass")
    except (ValueError, TypeError, RecursionError):
        return text


def _at(value: Any, path: Sequence[int], change: Callable[[Any], Any]) -> Any:
    if not path or not isinstance(value, dict | list) or not value:
        return change(value)
    if isinstance(value, list):
        at = path[0] % len(value)
        return [_at(part, path[1:], change) if n == at else part for n, part in enumerate(value)]
    key = list(value)[path[0] % len(value)]
    return {**value, key: _at(value[key], path[1:], change)}


def _other(draw: Draw, old: Any) -> Any:
    match draw(st.integers(0, 7)):
        case 0 | 1:
            return draw(st.sampled_from(NASTY_TEXT))
        case 2:
            return draw(st.sampled_from(NASTY_NUMBERS))
        case 3:
            return draw(st.none() | st.booleans() | st.just([]) | st.just({}) | st.text(max_size=12))
        case 4:
            return [old] * draw(st.sampled_from((1, 2, 100, 1_000)))
        case 5:
            for _ in range(draw(st.sampled_from((1, 5, 90, 110)))):
                old = [old]
            return old
        case 6 if isinstance(old, dict):
            return {**old, draw(st.sampled_from(NASTY_TEXT)): draw(st.sampled_from(NASTY_TEXT))}
        case 6 if isinstance(old, str):
            return old + draw(st.sampled_from(NASTY_TEXT))
        case _:
            return draw(st.floats() | st.integers() | st.text(max_size=40))
