"""The painter that writes what changed and Textual's own leave the same screen, through the same walk."""

from __future__ import annotations

import re

import pyte
import pytest

from tests.benchmarks.console.measure import PAGE_DOWN, console
from tests.benchmarks.console.terminal import Terminal

pytestmark = pytest.mark.long


#: Times go on between one walk and the other.
_MOVING = re.compile(r"\d\d:\d\d(?::\d\d)?|\b\d+[smhd]\d*[smh]?\b")

WALK = (
    "j",
    "j",
    PAGE_DOWN,
    "k",
    " ",
    " ",
    "x",
    "n",
    "?",
    "\x1b",
    "\r",
    "]",
    "\x1b",
    "4",
    "2",
    ":",
    "\x1b",
    "G",
    "g",
    "\\",
)


def cells(screen: pyte.Screen) -> list[list[tuple[str, ...]]]:
    """What is seen of each cell: a blank has no ink, and is not bold."""
    seen = []
    for y in range(screen.lines):
        text = _MOVING.sub(lambda found: "-" * len(found.group()), screen.display[y])
        row = []
        for x in range(screen.columns):
            cell = screen.buffer[y][x]
            data = text[x] if len(text) == screen.columns else cell.data
            ink = (
                ()
                if data == " " and not (cell.underscore or cell.reverse)
                else (cell.fg, str(cell.bold), str(cell.italics))
            )
            row.append((data, cell.bg, str(cell.underscore), str(cell.reverse), *ink))
        seen.append(row)
    return seen


def differences(one: Terminal, other: Terminal) -> list[tuple[int, int, object, object]]:
    assert one.screen is not None and other.screen is not None
    rows = enumerate(zip(cells(one.screen), cells(other.screen), strict=True))
    return [(y, x, a, b) for y, row in rows for x, (a, b) in enumerate(zip(*row, strict=True)) if a != b]


def test_both_painters_show_the_same_after_every_key() -> None:
    size = (100, 30)
    with (
        console(1_000, "ssh", size=size, shown="J8") as thin,
        console(1_000, "ssh", size=size, shown="J8", stock=True) as stock,
    ):
        for key in ("", *WALK):
            for terminal in (thin, stock):
                terminal.press(key)
            for _ in range(40):  # what a key asks of the engine comes a beat later
                for terminal in (thin, stock):
                    terminal.settle(0.15)
                if not (wrong := differences(thin, stock)):
                    break
            assert not wrong, (key, wrong[:5])
