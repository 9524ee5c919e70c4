"""Which job is shown in which pane, so that a pane keeps its job until it ends. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from console.sizes import PANE_LEAST, PANE_LEAST_STACKED, PANES_MOST


@dataclass(frozen=True, slots=True)
class Slot:
    """A pane as it stands: its job, whether that still runs, and when the pane was given it."""

    job: int | None
    live: bool
    since: int


def place(slots: Sequence[Slot], running: Sequence[int]) -> dict[int, int]:
    """The running jobs that get a pane now: pane number -> job.

    Panes with a running job keep it. A job that is not shown takes an empty pane, or the one whose job ended and was
    given to it longest ago. Jobs for which there is no pane are left out.
    """
    shown = {slot.job for slot in slots if slot.live}
    free = sorted(
        (index for index, slot in enumerate(slots) if not slot.live),
        key=lambda index: (slots[index].job is not None, slots[index].since, index),
    )
    coming = [job for job in running if job not in shown]
    # A job that runs again goes back to where it was, so that its pane is not shown twice.
    placed: dict[int, int] = {}
    for index in list(free):
        if slots[index].job in coming:
            job = slots[index].job
            assert job is not None
            placed[index] = job
            coming.remove(job)
            free.remove(index)
    placed.update(zip(free, coming, strict=False))
    return placed


def grid(width: int, height: int, wanted: int, *, stacked: bool) -> tuple[int, int]:
    """Columns and rows of panes for so many cells and so many panes that are wanted: as large as they can be.

    The grid holds at most what fits; it is never empty.
    """
    least_width, least_height = PANE_LEAST_STACKED if stacked else PANE_LEAST
    most_columns = max(1, width // least_width)
    most_rows = max(1, height // least_height)
    wanted = max(1, min(wanted, most_columns * most_rows, PANES_MOST))
    columns = min(range(1, min(wanted, most_columns) + 1), key=lambda n: _oddness(width, height, n, -(-wanted // n)))
    rows = -(-wanted // columns)
    return (columns, rows) if rows <= most_rows else (-(-wanted // most_rows), most_rows)


def _oddness(width: int, height: int, columns: int, rows: int) -> float:
    """How far the panes of a grid are from five times as wide as high, which shows most of an agent's lines."""
    shape = (width / columns) / (height / rows)
    return max(shape / 5, 5 / shape)
