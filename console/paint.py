"""The last step to the terminal: writes only the cells that differ from what stands there.

Textual repaints whole regions, every piece with its own colours. Over a slow line that is most of what a key costs.
The painter keeps a copy of the screen, compares, and writes runs of changed cells. It meets Textual's compositor at
two of its inner types, for which the version is pinned; an update of any other type goes the stock way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

#: A cell: its character with what combines with it, or nothing for the right half of a wide one; and its style.
Cell = tuple[str, Style]

#: Unchanged cells that are written again rather than jumped over: a jump within a row is four bytes or five.
_GAP = 4

_NO_STYLE = Style()

#: Attributes that show on a blank, as SGR numbers: underline, reverse, strike; and a pen that is not known.
_INKED = frozenset({"4", "7", "9", "?"})


def _jump(stands: tuple[int, int] | None, y: int, x: int) -> str:
    """To a cell: within the row where the cursor stands, by how far it is."""
    if stands is None or stands[0] != y or stands[1] > x:
        return f"\x1b[{y + 1};{x + 1}H"
    return f"\x1b[{x - stands[1]}C" if x > stands[1] else ""


@lru_cache(maxsize=4096)
def _blank_style(style: Style) -> Style:
    """What is seen of a style on a blank, so that blanks which look the same are the same."""
    if style.underline or style.reverse or style.strike or style.bgcolor is None:
        return style
    return Style(bgcolor=style.bgcolor)


class Painted(CompositorUpdate):
    """An update that is already what the terminal is to get."""

    def __init__(self, text: str) -> None:
        self._text = text

    def render_segments(self, console: Console) -> str:
        return self._text


class Painter:
    """Knows what stands on the screen. `forget` it whenever something else may have written there."""

    def __init__(self) -> None:
        self._rows: list[list[Cell | None]] = []
        self._size = (0, 0)
        self._pens: dict[Style, tuple[str, str, str]] = {}

    def forget(self) -> None:
        """The screen holds something unknown: every cell of the next update is written."""
        self._size = (0, 0)

    def paint(self, update: LayoutUpdate | ChopsUpdate, console: Console, size: tuple[int, int]) -> str:
        """What to write so that a screen of `size` (width, height) shows the update; nothing where it does already."""
        if size != self._size:
            self._size = size
            self._rows = [[None] * size[0] for _ in range(size[1])]
        system = console._color_system or ColorSystem.TRUECOLOR
        written: list[str] = []
        pen = ("?", "?", "?")
        stands: tuple[int, int] | None = None
        for y, x, strip in _pieces(update):
            if 0 <= y < size[1]:
                for start, cells in self._changed(self._rows[y], x, strip):
                    written.append(_jump(stands, y, start))
                    after = start + len(cells)
                    # At the right edge a terminal may stand on the last cell or behind it.
                    stands = (y, after) if after < size[0] else None
                    for text, style in cells:
                        wanted = self._pen(style, system)
                        if text == " " and _same_blank(pen, wanted):
                            wanted = pen
                        if wanted != pen:
                            written.append(_turn(pen, wanted))
                            pen = wanted
                        written.append(text)
        if written:
            written.append("\x1b[0m")
        return "".join(written)

    def _changed(self, row: list[Cell | None], x: int, strip: Strip) -> Iterator[tuple[int, list[Cell]]]:
        """The runs of cells in which a strip at `x` differs from its row; the row is brought up to date."""
        cells = _cells(strip)[: max(0, len(row) - x)]
        different = [index for index, cell in enumerate(cells) if row[x + index] != cell]
        row[x : x + len(cells)] = cells
        at = 0
        while at < len(different):
            first = last = different[at]
            while at + 1 < len(different) and different[at + 1] - last <= _GAP:
                at += 1
                last = different[at]
            while first > 0 and not cells[first][0]:
                first -= 1
            while last + 1 < len(cells) and not cells[last + 1][0]:
                last += 1
            yield x + first, cells[first : last + 1]
            at += 1

    def _pen(self, style: Style, system: ColorSystem) -> tuple[str, str, str]:
        pen = self._pens.get(style)
        if pen is None:
            pen = self._pens[style] = _codes(style, system)
        return pen


def _pieces(update: LayoutUpdate | ChopsUpdate) -> Iterator[tuple[int, int, Strip]]:
    """The strips of an update with the row and column where each begins."""
    if isinstance(update, LayoutUpdate):
        for y, strips in enumerate(update.strips, update.region.y):
            x = update.region.x
            for strip in strips:
                yield y, x, strip
                x += strip.cell_length
        return
    for y, x1, x2 in update.spans:
        for end, (x, piece) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if piece is not None and x <= x2 and end > x1:
                yield y, x, piece.crop(0, end - x)


def _cells(strip: Strip) -> list[Cell]:
    cells: list[Cell] = []
    for text, style, control in strip:
        if control:
            continue
        style = style or _NO_STYLE
        if text.isascii():
            blank = _blank_style(style)
            cells += [(char, blank if char == " " else style) for char in text]
        else:
            _add_wide(cells, text, style)
    return cells


def _add_wide(cells: list[Cell], text: Iterable[str], style: Style) -> None:
    for char in text:
        width = cell_len(char)
        if width:
            cells.append((char, style))
            cells += [("", style)] * (width - 1)
        elif cells:
            base = len(cells) - 1
            while base > 0 and not cells[base][0]:
                base -= 1
            cells[base] = (cells[base][0] + char, cells[base][1])


def _codes(style: Style, system: ColorSystem) -> tuple[str, str, str]:
    """Attributes, foreground and background of a style as the numbers of an SGR sequence."""
    attributes = [
        code
        for code, on in (
            ("1", style.bold), ("2", style.dim), ("3", style.italic), ("4", style.underline), ("7", style.reverse),
            ("9", style.strike),
        )
        if on
    ]  # fmt: skip
    ink = style.color.downgrade(system).get_ansi_codes(foreground=True) if style.color else ("39",)
    ground = style.bgcolor.downgrade(system).get_ansi_codes(foreground=False) if style.bgcolor else ("49",)
    return ";".join(attributes), ";".join(ink), ";".join(ground)


def _same_blank(pen: tuple[str, str, str], wanted: tuple[str, str, str]) -> bool:
    """A blank looks the same in both: it has no ink, unless a line runs through it or the colours are turned round."""
    return pen[2] == wanted[2] and not _INKED.intersection(f"{pen[0]};{wanted[0]}".split(";"))


#: What takes an attribute back. Bold and dim go together.
_OFF = {"1": "22", "2": "22", "3": "23", "4": "24", "7": "27", "9": "29"}


def _turn(old: tuple[str, str, str], new: tuple[str, str, str]) -> str:
    """The shortest way from one pen to another: by what differs, or from nothing at all."""
    parts = [part for part, bare in zip(new, ("", "39", "49"), strict=True) if part and part != bare]
    anew = f"\x1b[{';'.join(['0', *parts])}m"
    if "?" in old:
        return anew
    had, wanted = set(filter(None, old[0].split(";"))), set(filter(None, new[0].split(";")))
    off = {_OFF[code] for code in had - wanted}
    lost = {code for code in wanted & had if _OFF[code] in off}
    on = sorted((wanted - had) | lost)
    colours = [part for part, before in zip(new[1:], old[1:], strict=True) if part != before]
    changed = f"\x1b[{';'.join([*sorted(off), *on, *colours])}m"
    return min(changed, anew, key=len)
