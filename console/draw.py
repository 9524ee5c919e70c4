"""Lines of a screen from pieces of text with roles: the one place where text becomes a strip."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip

from console.format import ascii_glyphs, fit
from console.roles import Ground, Part, Role
from console.theme import Ink


def width_of(parts: Sequence[Part]) -> int:
    return sum(cell_len(text) for text, _ in parts)


def clip(parts: Sequence[Part], width: int) -> list[Part]:
    """The parts in at most `width` cells, the last one cut with a sign that says so."""
    kept: list[Part] = []
    for text, role in parts:
        size = cell_len(text)
        if size > width:
            if width > 0:
                kept.append((fit(text, width), role))
            break
        kept.append((text, role))
        width -= size
    return kept


def draw(
    ink: Ink,
    left: Sequence[Part],
    width: int,
    *,
    right: Sequence[Part] = (),
    ground: Ground = Ground.PAGE,
    ascii: bool = False,
) -> Strip:
    """One line of exactly `width` cells: `left` from the left end, cut where it meets `right` at the right end."""
    tail = width_of(right)
    if tail > width:
        right, tail = [], 0
    parts = clip(left, width - tail)
    gap = width - tail - width_of(parts)
    segments = [Segment(ascii_glyphs(text) if ascii else text, ink.style(role, ground)) for text, role in parts if text]
    if gap:
        segments.append(Segment(" " * gap, ink.style(Role.TEXT, ground)))
    segments += [Segment(ascii_glyphs(text) if ascii else text, ink.style(role, ground)) for text, role in right]
    return Strip(segments, width)
