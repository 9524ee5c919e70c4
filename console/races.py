"""Races as text: who ran, how their checks went, who won and why. Pure."""

from __future__ import annotations

from console.format import clean_line, job_name, moment, money, plural, span, tokens
from engine.model import UNFINISHED, Race, RaceEntry, RaceState

HEADS = ("", "JOB", "TARGET", "STATE", "CHECKS", "CHANGED", "TOKENS", "COST", "TOOK", "VERDICT")
LIST_HEADS = ("RACE", "AT", "STATE", "WINNER", "BY", "TITLE")


def cells(race: Race, entry: RaceEntry) -> tuple[str, ...]:
    """A line of a race, as its columns are headed in `HEADS`."""
    told = entry.input_tokens + entry.output_tokens
    return (
        "*" if entry.job == race.winner else "",
        job_name(entry.job),
        clean_line(entry.target),
        str(entry.state or "pruned"),
        checks_text(entry),
        _changed(entry),
        tokens(told) if told else "-",
        money(entry.cost_micros, entry.cost_grade, 3),
        "-" if entry.took_ms is None else span(entry.took_ms),
        clean_line(entry.note) or ("still in" if entry.fit and race.winner is None else ""),
    )


def checks_text(entry: RaceEntry) -> str:
    """`2/3 ok`, or - where none was run."""
    if not entry.checks:
        return "-"
    return f"{sum(one.passed for one in entry.checks)}/{len(entry.checks)} ok"


def _changed(entry: RaceEntry) -> str:
    if entry.diff is None:
        return "-"
    return f"{plural(entry.diff.files, 'file')} +{entry.diff.added} -{entry.diff.removed}"


def list_cells(race: Race) -> tuple[str, ...]:
    winner = job_name(race.winner) if race.winner is not None else "-"
    by = clean_line(race.decided_by or "-")
    return (str(race.id), moment(race.at), race.state, winner, by, clean_line(race.title))


def head_lines(race: Race) -> list[str]:
    """What is above the table."""
    lines = [f"race {race.id}  {clean_line(race.title)}", f"  state    {race.state}"]
    facts = {
        "base": race.base and race.base[:12],
        "checks": "; ".join(map(clean_line, race.checks)),
        "judge": race.judge and clean_line(race.judge) + (f", {job_name(race.judge_job)}" if race.judge_job else ""),
        "why": clean_line(race.why),
    }
    return [*lines, *(f"  {name:<8} {value}" for name, value in facts.items() if value)]


def foot_lines(race: Race) -> list[str]:
    """What is below the table: the winner and how to take its work over, or what is left to do."""
    winner = next((one for one in race.entries if one.job == race.winner), None)
    if winner is not None:
        branch = f" on the branch {clean_line(winner.branch)}" if winner.branch else ""
        lines = [f"{job_name(winner.job)} won, by {clean_line(race.decided_by or '')}{branch}"]
        if winner.diff is not None and winner.diff.files:
            lines.append(f"headway diff {winner.job} | git apply --index   # takes it over; the others are kept")
        return lines
    if race.state is RaceState.OPEN:
        some = next((one.job for one in race.entries if one.fit), race.entries[0].job)
        return [f"nobody has won: read them (headway diff JOB), then headway race pick {race.id} {some}"]
    left = sum(one.state in UNFINISHED for one in race.entries)
    return [f"{plural(left, 'job')} of it have not ended" if left else f"it is {race.state}"]


def failed_lines(race: Race) -> list[str]:
    """What the checks that failed printed last."""
    lines = []
    for entry in race.entries:
        for one in entry.checks:
            if not one.passed:
                lines += ["", f"{job_name(entry.job)}  {clean_line(one.command)}: {one.problem or one.word}"]
                lines += [f"  {clean_line(line)}" for line in one.output.rstrip().splitlines()[-8:]]
    return lines
