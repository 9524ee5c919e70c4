"""The painter's output, read back by a small terminal, shows what was to be shown."""

from __future__ import annotations

import re
from io import StringIO

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from console.paint import Painter

CONSOLE = Console(file=StringIO(), force_terminal=True, color_system="truecolor")
STYLES = [
    Style.parse(text)
    for text in ("none", "bold", "#ff8247 on #11151a", "#d5dbe3 on #11151a", "reverse", "underline dim #a0abb8", "cyan")
]
WIDTH, HEIGHT = 14, 3


#: What takes attributes back.
OFF = {"22": {"1", "2"}, "23": {"3"}, "24": {"4"}, "27": {"7"}, "29": {"9"}}


def seen(char: str, attributes: set[str], ink: str, ground: str) -> tuple[str, ...]:
    """What is seen of a cell's codes: a blank has no ink unless it is underlined or reversed."""
    if char == " " and not attributes & {"4", "7", "9"}:
        return (ground,)
    return (*sorted(attributes), ink, ground)


class Terminal:
    """Reads cursor jumps, SGR and text; keeps for each cell its character and the codes in force."""

    def __init__(self, width: int = WIDTH, height: int = HEIGHT) -> None:
        self.cells = [[("?", ("?",))] * width for _ in range(height)]

    def read(self, text: str) -> None:
        x = y = 0
        attributes: set[str] = set()
        ink, ground = "39", "49"
        every = r"\x1b\[(\d+);(\d+)H|\x1b\[(\d+)C|\x1b\[([\d;]*)m|(.)"
        for jump_y, jump_x, ahead, codes, char in re.findall(every, text, re.DOTALL):
            if jump_y:
                y, x = int(jump_y) - 1, int(jump_x) - 1
            elif ahead:
                x += int(ahead)
            elif char:
                self.cells[y][x] = (char, seen(char, attributes, ink, ground))
                for half in range(1, cell_len(char)):
                    self.cells[y][x + half] = ("", seen(char, attributes, ink, ground))
                x += cell_len(char)
            else:
                parts = codes.split(";")
                while parts:
                    code = parts.pop(0)
                    if code == "0":
                        attributes, ink, ground = set(), "39", "49"
                    elif code in OFF:
                        attributes -= OFF[code]
                    elif code in ("38", "48"):
                        colour = ";".join([code, *(parts.pop(0) for _ in range(4))])
                        ink, ground = (colour, ground) if code == "38" else (ink, colour)
                    elif code[0] in "39" and len(code) == 2:
                        ink = code
                    elif code[0] == "4" and len(code) == 2:
                        ground = code
                    else:
                        attributes.add(code)


def shown(update: LayoutUpdate) -> Terminal:
    """What a terminal shows that gets an update whole."""
    terminal = Terminal()
    terminal.read(Painter().paint(update, CONSOLE, (WIDTH, HEIGHT)))
    return terminal


def stock(update: LayoutUpdate) -> Terminal:
    """What a terminal shows that gets an update as Textual itself writes it."""
    terminal = Terminal()
    text = update.render_segments(CONSOLE).replace("\n", "")
    terminal.read(text)
    return terminal


def layout(rows: list[list[tuple[str, int]]]) -> LayoutUpdate:
    strips = [[Strip([Segment(t, STYLES[s]) for t, s in row]).adjust_cell_length(WIDTH, STYLES[0])] for row in rows]
    return LayoutUpdate(strips, Region(0, 0, WIDTH, HEIGHT))  # type: ignore[arg-type]


texts = st.text(st.sampled_from("ab c-日本▸é"), max_size=8)
rows = st.lists(st.tuples(texts, st.integers(0, len(STYLES) - 1)), min_size=1, max_size=3)
screens = st.lists(rows, min_size=HEIGHT, max_size=HEIGHT).map(layout)


@given(st.lists(screens, min_size=1, max_size=4))
def test_after_any_updates_the_terminal_shows_the_last_one(updates: list[LayoutUpdate]) -> None:
    painter, terminal = Painter(), Terminal()
    for update in updates:
        terminal.read(painter.paint(update, CONSOLE, (WIDTH, HEIGHT)))
    assert terminal.cells == stock(updates[-1]).cells
    assert painter.paint(updates[-1], CONSOLE, (WIDTH, HEIGHT)) == ""


def test_the_whole_screen_is_what_the_strips_say() -> None:
    update = layout([[("ab", 1), ("日", 2)], [("c", 0)], [("", 0)]])
    terminal = shown(update)
    assert terminal.cells[0][:5] == [
        ("a", ("1", "39", "49")),
        ("b", ("1", "39", "49")),
        ("日", ("38;2;255;130;71", "48;2;17;21;26")),
        ("", ("38;2;255;130;71", "48;2;17;21;26")),
        (" ", ("49",)),
    ]


def test_only_what_changed_is_written() -> None:
    painter = Painter()
    painter.paint(layout([[("same same same", 2)]] * 3), CONSOLE, (WIDTH, HEIGHT))
    text = painter.paint(
        layout([[("same same same", 2)], [("same sake same", 2)], [("same same same", 2)]]), CONSOLE, (WIDTH, HEIGHT)
    )
    assert text == "\x1b[2;8H\x1b[0;38;2;255;130;71;48;2;17;21;26mk\x1b[0m"


def test_a_part_of_the_screen_is_written_where_it_belongs() -> None:
    painter, terminal = Painter(), Terminal()
    terminal.read(painter.paint(layout([[("x" * WIDTH, 0)]] * 3), CONSOLE, (WIDTH, HEIGHT)))
    strip = Strip([Segment("日b", STYLES[1])], 3)
    update = ChopsUpdate([{}, {0: None, 5: strip}, {}], [(1, 5, 8)], [[], [5, 8], []])
    terminal.read(painter.paint(update, CONSOLE, (WIDTH, HEIGHT)))
    assert "".join(char for char, _ in terminal.cells[1]) == "xxxxx日bxxxxxx"


def test_what_was_forgotten_or_resized_is_written_again() -> None:
    painter = Painter()
    update = layout([[("abc", 0)]] * 3)
    whole = painter.paint(update, CONSOLE, (WIDTH, HEIGHT))
    assert painter.paint(update, CONSOLE, (WIDTH, HEIGHT)) == ""
    painter.forget()
    assert painter.paint(update, CONSOLE, (WIDTH, HEIGHT)) == whole
    assert painter.paint(update, CONSOLE, (WIDTH, HEIGHT + 1)) == whole


def test_bold_is_taken_back_without_the_colours_being_said_again_and_a_gap_is_stepped_over() -> None:
    bold, plain = Style.parse("bold #ff8247 on #11151a"), Style.parse("#d5dbe3 on #11151a")

    def row(middle: str) -> LayoutUpdate:
        texts = [("ab", bold), (middle, plain), ("......", plain), (middle, bold)]
        strip = Strip([Segment(text, style) for text, style in texts]).adjust_cell_length(WIDTH, plain)
        return LayoutUpdate([[strip]], Region(0, 0, WIDTH, 1))  # type: ignore[arg-type]

    painter = Painter()
    whole = painter.paint(row("cd"), CONSOLE, (WIDTH, HEIGHT))
    assert whole.count("48;2;17;21;26") == 1 and "\x1b[22;38;2;213;219;227m" in whole
    changed = painter.paint(row("ef"), CONSOLE, (WIDTH, HEIGHT))
    assert changed.count("H") == 1 and "\x1b[6C" in changed
