"""The columns of the table of jobs: which ones there is room for, and what they say. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from console.format import age, clean_line, fit, job_name, money, right, tokens
from console.roles import Part, Role
from console.status import Mark, mark_of, shown_age
from engine.model import Job, State
from engine.model.listing import Wait

#: A title narrower than this says too little: other columns go first.
_TITLE_LEAST = 20

#: Spare cells that the title keeps before a further column is shown.
_TITLE_GOOD = 26


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    width: int
    """In cells, without the one that parts it from the next; 0 for the title, which takes what is left."""
    text: Callable[[Job, Mark, int], str]
    """What it says of a job, with its mark and the moment."""
    to_right: bool = False
    plain: bool = True
    """Drawn as quiet text; others take the state's role."""


def _target(job: Job) -> str:
    return clean_line(f"{job.agent}:{job.model}" if job.model else job.agent)


def _project(job: Job) -> str:
    return clean_line(job.project.rstrip("/").rsplit("/", 1)[-1]) if job.project else "-"


def _cost(job: Job, mark: Mark, now: int) -> str:
    """The money, with a cell for its grade's mark even where that has none: the points stand under each other."""
    text = money(job.cost_micros, job.cost_grade)
    return text if text[-1] in "*~?" else f"{text} "


def _state(job: Job, mark: Mark) -> str:
    """The state, and for a failed job its class: the glyph and the colour say already that it failed."""
    return job.failure.value if job.state is State.FAILED and job.failure is not None else mark.word


_PRIORITY = Column("P", 1, lambda job, mark, now: str(job.priority))
_ID = Column("ID", 7, lambda job, mark, now: job_name(job.id), plain=False)
_TITLE = Column("TITLE", 0, lambda job, mark, now: clean_line(job.title))
_STATE = Column("STATE", 13, lambda job, mark, now: _state(job, mark), plain=False)
_TARGET = Column("AGENT", 16, lambda job, mark, now: _target(job))
_PROJECT = Column("PROJECT", 14, lambda job, mark, now: _project(job))
_TRY = Column("TRY", 3, lambda job, mark, now: str(job.attempts) if job.attempts else "-", True)
_TOKENS = Column(
    "TOKENS", 6, lambda job, mark, now: tokens(job.input_tokens + job.output_tokens) if job.input_tokens else "-", True
)
_AGE = Column("AGE", 6, lambda job, mark, now: age(shown_age(job, now), 5), True)
_COST = Column("COST", 9, _cost, True)

#: In the order on screen, and in the order in which they come as the table grows.
_ORDER = (_PRIORITY, _ID, _TITLE, _PROJECT, _TARGET, _TRY, _TOKENS, _STATE, _AGE, _COST)
_ALWAYS = (_PRIORITY, _ID, _TITLE, _AGE)
_COMING = (_STATE, _COST, _TARGET, _TRY, _PROJECT, _TOKENS)

#: Mark sign, state glyph, and the cell after it.
_SIGNS = 3


def choose(width: int, longest_id: int = 0) -> list[tuple[Column, int]]:
    """The columns for a table of so many cells, with the width of each. `longest_id` is the largest job id."""
    id_width = max(_ID.width - 1, len(job_name(longest_id)))
    chosen = list(_ALWAYS)

    def title_room(columns: list[Column]) -> int:
        taken = sum((id_width if c is _ID else c.width) + 1 for c in columns)
        return width - _SIGNS - taken - 1

    for column in _COMING:
        least = _TITLE_LEAST if column is _STATE else _TITLE_GOOD
        if title_room([*chosen, column]) < least:
            break
        chosen.append(column)
    room = max(title_room(chosen), 1)
    widths = {_TITLE.name: room, _ID.name: id_width}
    return [(column, widths.get(column.name, column.width)) for column in _ORDER if column in chosen]


def head_parts(columns: list[tuple[Column, int]]) -> list[Part]:
    """The line of column names."""
    cells = [right(column.name, width) if column.to_right else fit(column.name, width) for column, width in columns]
    return [(" " * _SIGNS, Role.MUTED), (" ".join(cells), Role.MUTED)]


def row_parts(
    job: Job,
    columns: list[tuple[Column, int]],
    now: int,
    *,
    marked: bool,
    ascii: bool = False,
    wait: Wait | None = None,
) -> list[Part]:
    """The line of one job. `wait`: why it does not start, where that was asked."""
    mark = mark_of(job, now, wait)
    over = job.state in (State.SUCCEEDED, State.CANCELLED)
    parts: list[Part] = [("*" if marked else " ", Role.ACCENT), (mark.ascii if ascii else mark.glyph, mark.role)]
    parts.append((" ", Role.TEXT))
    for column, width in columns:
        text = column.text(job, mark, now)
        shown = right(text, width) if column.to_right else fit(text, width)
        parts.append((shown, _role_in(column, mark, over=over, marked=marked)))
        parts.append((" ", Role.TEXT))
    return parts


def _role_in(column: Column, mark: Mark, *, over: bool, marked: bool) -> Role:
    """What a cell is drawn as: quiet once the job is over, the mark's own role where the state speaks."""
    if marked and column in (_ID, _TITLE):
        return Role.ACCENT if column is _ID else Role.HEADING
    if over:
        return Role.OVER
    if column is _TITLE:
        return Role.TEXT
    if column.plain:
        return Role.MUTED
    return Role.TEXT if column is _ID and mark.role in (Role.IDLE, Role.HELD) else mark.role
