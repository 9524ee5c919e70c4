"""Untrusted text is made plain in one place, and whatever shows text goes through it."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import unicodedata
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from console.cli.output import escaped
from console.cli.streams import cleaned
from engine.documents import DocumentError, Mistake
from engine.entry import title_of
from engine.logs import Json, Text
from engine.model import JobSpec
from engine.plain import TABS, is_plain, plain, plain_line

ROOT = Path(__file__).parents[2]

#: What each does to a terminal that obeys it.
HOSTILE = {
    "colour": "\x1b[31m",
    "clear": "\x1b[2J\x1b[H",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "device string": "\x1bP$q q\x1b\\",
    "privacy message": "\x1b^told\x1b\\",
    "8-bit CSI": "\x9b31m",
    "8-bit OSC": "\x9d0;owned\x9c",
    "reset": "\x1bc",
    "override": "\u202e",
    "isolate": "\u2067",
    "bell": "\x07",
    "backspace": "\x08",
    "lone CR": "\r",
    "unfinished": "\x1b]0;",
    "invisible": "\u200b\u2060\ufeff\U000e0041",
    "half": "\ud800",
}
ANY = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\x1b[]0;m\x07\x9b\x9d\\P\n\t\r\u202e")))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x1b]52;c;aGk=\x1b\\b", "ab"),
        ("a\x1bP1$r0m\x1b\\b", "ab"),
        ("a\x1b(0b\x1bc", "ab"),
        ("a\x9b2Jb\x9d0;x\x9cc", "abc"),
        ("bell\x07 back\x08 nul\x00", "bell back nul"),
        ("over\rwritten\r\n", "overwritten\n"),
        ("evil\u202egnp.exe", "evilgnp.exe"),
        ("a\tb", "a\tb"),
        ("cut off \x1b[", "cut off "),
        (
            "unfinished \x1b]0;title\nhides nothing of what follows",
            "unfinished \nhides nothing of what follows",
        ),
        ("\x1b]8;;http://x\x1b\\shown\x1b]8;;\x1b\\", "shown"),
        ("\t" * 10_000, "\t" * TABS),
        ("grüße 漢字 é ✓", "grüße 漢字 é ✓"),
    ],
)
def test_what_a_terminal_would_obey_is_left_out_and_the_rest_stays(raw: str, text: str) -> None:
    assert plain(raw) == text


@settings(deadline=None)
@given(ANY)
def test_plain_text_holds_no_control_whatever_it_was_and_stays_as_it_is(raw: str) -> None:
    text = plain(raw)
    assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"]
    assert not [c for c in text if unicodedata.bidirectional(c) in ("RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI")]
    assert is_plain(text)
    line = plain_line(raw, 20)
    assert len(line) <= 20
    assert line.isprintable() or not line.isascii()
    assert "\n" not in line


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_titles_errors_and_log_lines_are_plain(hostile: str) -> None:
    assert is_plain(title_of(JobSpec(prompt="", title=f"a {hostile} title")))
    assert is_plain(str(DocumentError(f"{hostile}.yaml", [Mistake(1, f"no {hostile}")])))
    record = logging.LogRecord("room", logging.ERROR, "", 1, "it said %s", (f"{hostile}\nERROR forged",), None)
    told = Text().format(record)
    assert is_plain(told)
    assert not any(line.startswith("ERROR") for line in told.splitlines())
    assert is_plain(Json().format(record))


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_a_command_writes_plain_text_even_where_nobody_thought_of_it(hostile: str) -> None:
    raw = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="replace")
    stream = cleaned(raw)
    print(f"a {hostile} b", file=stream, flush=True)
    assert isinstance(raw.buffer, io.BytesIO)
    written = raw.buffer.getvalue().decode()
    assert is_plain(written)
    assert written.startswith("a ")
    stream.buffer.write(b"\x1b[1m")  # into a file or a pipe bytes go as they are
    assert raw.buffer.getvalue().endswith(b"\x1b[1m")


def test_bytes_for_a_terminal_are_plain_as_well() -> None:
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as raw, os.fdopen(ours, "rb") as terminal:
        stream = cleaned(raw)
        stream.buffer.write(b"log \x1b]52;c;aGk=\x07\xc2\x9b2J line\n")
        stream.flush()
        assert os.read(terminal.fileno(), 100) == b"log  line\r\n"


@settings(deadline=None)
@given(ANY)
def test_json_says_the_same_and_moves_no_terminal(text: str) -> None:
    told = escaped(json.dumps({"text": text}, ensure_ascii=False))
    assert is_plain(told)
    assert json.loads(told) == {"text": text}


def test_no_other_module_decides_what_a_terminal_obeys() -> None:
    """A second list of sequences or of controls is one that is forgotten when the first is mended."""
    sign = re.compile(r"\\x9b|\\x00-\\x|\.isprintable\(\) else|x1b.*sub")
    found = {
        str(file.relative_to(ROOT))
        for room in ("engine", "console")
        for file in (ROOT / room).rglob("*.py")
        if sign.search(file.read_text(encoding="utf-8"))
    }
    assert found == {"engine/plain.py"}
