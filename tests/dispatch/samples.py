"""Rows of jobs and worlds in their shortest form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.dispatch.order import Line
from engine.dispatch.world import World
from engine.model import ALL, UNFINISHED, State
from engine.store.rows import JobRow, lane_of

NOW = 1_760_000_000_000
HOUR = 3_600_000


def job(number: int = 1, *, agent: str = "claude", state: State = State.READY, **fields: object) -> JobRow:
    ended = None if state in UNFINISHED else NOW
    given = {"priority": 5, "created_at": NOW, "rank": number << 20, "model": None, "project": None, **fields}
    return JobRow(id=number, state=state, title="t", agent=agent, ended_at=ended, **given)  # type: ignore[arg-type]


def world(slots: int = 2, **fields: object) -> World:
    given = {"caps": {ALL: slots, **fields.pop("caps", {})}, **fields}  # type: ignore[dict-item]
    return World(NOW, **given)  # type: ignore[arg-type]


def lines(rows: Iterable[JobRow]) -> list[Line]:
    """The jobs in their lanes, each in the order of its ranks."""
    lanes: dict[object, list[JobRow]] = {}
    for row in sorted(rows, key=lambda row: row.rank):
        lanes.setdefault(lane_of(row), []).append(row)
    return [_line(found) for found in lanes.values()]


def _line(rows: Sequence[JobRow]) -> Line:
    return Line(lane_of(rows[0]), rows[0], iter(rows[1:]))
