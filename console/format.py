"""Numbers, times and untrusted text as cells of a screen. Pure."""

from __future__ import annotations

import re
from datetime import datetime

from rich.cells import cell_len, set_cell_size

from console.sizes import LINE_MOST
from engine.model import Grade
from engine.plain import plain

#: Ends a text that was cut. One cell in every locale, unlike the ellipsis.
MORE = "›"

_GRADE_MARK = {Grade.REPORTED: "", Grade.COMPUTED: "*", Grade.ESTIMATED: "~", Grade.UNKNOWN: "?"}

_TO_ASCII = str.maketrans(
    {
        "▸": ">", "▹": "g", "✗": "x", "✓": "+", "↻": "r", "◔": "%", "⋯": "~", "◌": ".", "◷": "@", "⊘": "-",
        "▁": "_", "▂": "_", "▃": ".", "▄": "-", "▅": "=", "▆": "+", "▇": "*", "█": "#", "░": ".", "▒": "~",
        "✎": "e", "»": ">", "›": ">", "−": "-", "─": "-", "│": "|", "▾": "v", "▴": "^", "▏": "|", "▌": ">",
        "·": ".",
    }
)  # fmt: skip


def ascii_glyphs(text: str) -> str:
    """The same text with Headway's own glyphs as ASCII signs, cell for cell."""
    return text.translate(_TO_ASCII)


def clean(text: str) -> str:
    """Text that may be shown: no escape sequences, no controls; newlines stay, tabs become spaces."""
    return plain(text).expandtabs(4)


def clean_lines(text: str) -> list[str]:
    """The lines of an agent's output, each clean and at most `LINE_MOST` characters long."""
    lines = clean(text).split("\n")
    return [line if len(line) <= LINE_MOST else line[: LINE_MOST - 1] + MORE for line in lines]


def clean_line(text: str) -> str:
    """A text as one clean line."""
    return " ".join(line.strip() for line in clean_lines(text) if line.strip())[:LINE_MOST]


def fit(text: str, width: int) -> str:
    """Text in exactly `width` cells: padded, or cut with a sign that says so."""
    if width <= 0:
        return ""
    if text.isascii():
        size = len(text)
        return text + " " * (width - size) if size <= width else text[: width - 1] + MORE
    size = cell_len(text)
    if size <= width:
        return text + " " * (width - size)
    return set_cell_size(text, width - 1) + MORE


def right(text: str, width: int) -> str:
    """As `fit`, with the text at the right end."""
    size = cell_len(text)
    return " " * (width - size) + text if size <= width else fit(text, width)


def wrap(text: str, width: int, indent: int = 0) -> list[str]:
    """A line broken between words into pieces of at most `width` cells; all but the first begin with `indent` spaces.

    Words that are longer than a piece are broken inside. Never returns an empty list.
    """
    width = max(width, 4)
    indent = min(indent, width // 2)
    if cell_len(text) <= width:
        return [text]
    pieces: list[str] = []
    line = ""
    room = width
    for word in re.findall(r"\s*\S+|\s+$", text):
        if cell_len(line) + cell_len(word) <= room:
            line += word
            continue
        if line:
            pieces.append(line)
            room = width - indent
            word = word.lstrip()
        while cell_len(word) > room:
            head = _head(word, room)
            pieces.append(head)
            word = word[len(head) :]
            room = width - indent
        line = word
    if line:
        pieces.append(line)
    return [pieces[0], *(" " * indent + piece for piece in pieces[1:])]


def _head(word: str, room: int) -> str:
    """The longest beginning of a word that fits, at least one character."""
    used = 0
    for index, char in enumerate(word):
        used += cell_len(char)
        if used > room:
            return word[: max(index, 1)]
    return word


def age(ms: int, step: int = 1) -> str:
    """A span of time as its reader needs it: `41s`, `12m`, `2h04`, `3d04h`. Seconds only under a minute.

    `step` rounds the seconds down to its multiples, so that a list of ages does not change every second.
    """
    seconds = max(0, ms // 1000)
    if seconds < 60:
        return f"{seconds // step * step}s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes:02}"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02}h" if days < 100 else f"{days}d"


def span(ms: int) -> str:
    """How long something took: as `age`, with tenths of a second below ten."""
    return f"{max(0, ms) / 1000:.1f}s" if ms < 10_000 else age(ms)


def clock(ms: int) -> str:
    """A moment as the wall clock of this machine shows it, to the minute."""
    return datetime.fromtimestamp(ms / 1000).strftime("%H:%M")


def moment(ms: int) -> str:
    """A moment with its day, to the second, in this machine's zone, which is named."""
    return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def money(micros: int | None, grade: Grade = Grade.REPORTED, digits: int = 2) -> str:
    """Micro-dollars as dollars and the mark of their grade: none reported, `*` computed, `~` estimated, `?` unknown."""
    if micros is None:
        return "-"
    return f"${micros / 1_000_000:,.{digits}f}{_GRADE_MARK[grade]}"


def tokens(count: int) -> str:
    """A number of tokens in at most five cells: `812`, `4.1k`, `41k`, `1.2M`."""
    if count < 1000:
        return str(count)
    if count < 9_950:
        return f"{count / 1000:.1f}k"
    if count < 999_500:
        return f"{count / 1000:.0f}k"
    return f"{count / 1_000_000:.1f}M"


def number(count: int) -> str:
    return f"{count:,}"


def plural(count: int, noun: str, more: str = "") -> str:
    """`1 job`, `12 jobs`, `1,204 jobs`. `more` is the plural where that is not the noun with an s."""
    return f"{count:,} {noun if count == 1 else more or noun + 's'}"


def job_name(job: int) -> str:
    return f"J{job}"
