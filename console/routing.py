"""Routes in the order in which they are matched, and races, as rows of one list. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from console import moves, races, scores
from console.fields import Field
from console.format import clean_line, job_name
from console.roles import Part, Role
from console.telling import grid, heading, lines, prose
from console.transcript import Entry
from engine.model import Race, RaceState, Scoreboard
from engine.model.route import RouteChoice, RouteStatus, Standing


@dataclass(frozen=True, slots=True)
class RouteRow:
    """A route with its place among them, or a race."""

    place: int
    route: RouteStatus | None = None
    race: Race | None = None

    @property
    def id(self) -> tuple[str, str]:
        return ("race", str(self.race.id)) if self.race else ("route", self.route.name if self.route else "")


def rows_of(routes: Sequence[RouteStatus], found: Sequence[Race]) -> list[RouteRow]:
    rows = [RouteRow(place, route=route) for place, route in enumerate(routes, 1)]
    return [*rows, *(RouteRow(race.id, race=race) for race in found)]


def _name(row: RouteRow, now: int) -> str:
    return f"race {row.race.id}" if row.race else row.route.name if row.route else ""


def _when(row: RouteRow, now: int) -> str:
    if row.race:
        return row.race.title
    return ", ".join(row.route.matches) or "where it is named" if row.route else ""


def _then(row: RouteRow, now: int) -> str:
    if row.race:
        by = f" by {row.race.decided_by}" if row.race.decided_by else ""
        return f"{job_name(row.race.winner)} won{by}" if row.race.winner is not None else str(row.race.state)
    return " > ".join(target.target for target in row.route.targets) if row.route else ""


def _usable(row: RouteRow) -> list[Standing]:
    return [target for target in row.route.targets if target.usable] if row.route else []


def role(row: RouteRow, now: int) -> Role:
    if row.race:
        return {RaceState.OPEN: Role.YOU, RaceState.DECIDED: Role.DONE}.get(row.race.state, Role.RUN)
    if not _usable(row):
        return Role.FAILED
    return Role.TEXT if row.route and row.route.targets[0].usable else Role.WAIT


def sign(row: RouteRow, now: int) -> Part:
    found = role(row, now)
    return {Role.FAILED: "✗", Role.WAIT: "◔", Role.YOU: "!", Role.DONE: "✓", Role.RUN: "▸"}.get(found, "✓"), found


def _count(value: int | None) -> str:
    return "-" if not value else f"{value:,}"


FIELDS: tuple[Field[RouteRow], ...] = (
    Field("#", 3, lambda row, now: str(row.place), key=lambda row: (row.race is not None, row.place), to_right=True),
    Field("NAME", 16, _name, role=Role.TEXT),
    Field("WHEN", 22, _when, drop=1),
    Field("THEN", 0, _then, role=role, least=24),
    Field("OPEN", 5, lambda row, now: f"{len(_usable(row))}/{len(row.route.targets)}" if row.route else "-",
          to_right=True),
    Field("JOBS", 5, lambda row, now: _count(row.route.jobs if row.route else None),
          key=lambda row: row.route.jobs if row.route else None, to_right=True),
    Field("MOVES/D", 7, lambda row, now: _count(row.route.moves if row.route else None),
          key=lambda row: row.route.moves if row.route else None, to_right=True, drop=2),
    Field("OPTIONS", 30, lambda row, now: ", ".join(row.route.options) if row.route else row.race.why if row.race
          else "", drop=3),
)  # fmt: skip


def told(row: RouteRow, now: int) -> list[Entry]:
    if row.race is not None:
        return race_entries(row.race)
    if row.route is None:
        return []
    targets = [moves.target_cells(target, now) for target in row.route.targets]
    return [*lines(moves.route_lines(row.route)), Entry(()), *grid(moves.HEADS, targets)]


def choice_entries(found: RouteChoice, now: int) -> list[Entry]:
    """Which route a job takes and why, how each target stands, what would be done."""
    entries = lines(moves.choice_lines(found))
    if found.targets:
        entries += [Entry(()), *grid(moves.HEADS, [moves.target_cells(target, now) for target in found.targets])]
    return entries


def race_entries(race: Race) -> list[Entry]:
    """A race with its entries, what their checks said, and the winner's answer."""
    found = lines(races.head_lines(race))
    if race.entries:
        found += [Entry(()), *grid(races.HEADS, [races.cells(race, entry) for entry in race.entries])]
        found += [Entry(()), *lines(races.foot_lines(race)), *lines(races.failed_lines(race), Role.FAILED)]
    for entry in race.entries:
        if entry.result and (race.winner is None or entry.job == race.winner):
            found += heading(f"{job_name(entry.job)} {clean_line(entry.target)} answered") + prose(entry.result)
    return found


def board_entries(board: Scoreboard) -> list[Entry]:
    """How targets do at each kind of job."""
    if not board.lines:
        return lines(["no ended job is counted yet"], Role.MUTED)
    return [*grid(scores.HEADS, [scores.cells(line) for line in board.lines]), Entry(()),
            *lines(scores.remarks(board), Role.MUTED)]  # fmt: skip
