"""How commands print: JSON for programs, aligned columns for people."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

import msgspec

from engine.plain import is_plain


def print_json(value: object) -> None:
    """A value as indented JSON."""
    sys.stdout.write(escaped(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()) + "\n")


def print_json_line(value: object) -> None:
    """A value as one line of JSON, at once: somebody follows."""
    sys.stdout.write(escaped(msgspec.json.encode(value).decode()) + "\n")
    sys.stdout.flush()


def escaped(json: str) -> str:
    """JSON with what a terminal might obey as JSON's own escapes: the same to a program, and nothing to a terminal."""
    return json if is_plain(json) else "".join(one if one == "\n" or is_plain(one) else _escape(one) for one in json)


def _escape(one: str) -> str:
    pair = one.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{pair[at : at + 4]}" for at in range(0, len(pair), 4))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, stretch: int) -> None:
    """Columns as wide as their widest cell; the one called `stretch` is cut to what the terminal leaves it."""
    from rich.cells import cell_len

    from console.format import fit

    widths = [max(cell_len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns - sum(widths) - 2 * (len(widths) - 1) + widths[stretch]
        widths[stretch] = min(widths[stretch], max(room, 10))
    for row in (heads, *rows):
        print("  ".join(fit(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip())


def note(line: str) -> None:
    """A remark to the person, beside what the command prints."""
    print(line, file=sys.stderr)
