"""Routes and moves as text: where a job went and why, how a target stands, what would be done. Pure."""

from __future__ import annotations

from console.format import age, clean_line, clock, moment, money, plural
from engine.model import Grade
from engine.model.route import Expected, Foreseen, Rerouting, RouteChoice, RouteStatus, Standing, WindowState

_DAY_MS = 86_400_000

HEADS = ("TARGET", "WINDOW", "USED", "BREAKER", "COST", "ADDS", "WELL", "NOW")


def move_text(move: Rerouting) -> str:
    """`claude:opus@work -> codex:gpt@main (limit, resets 14:05)`."""
    why = [str(move.cause) if move.cause is not None else f"by {clean_line(move.by)}"]
    if move.until is not None:
        far = abs(move.until - move.at) >= _DAY_MS
        why.append(f"resets {moment(move.until) if far else clock(move.until)}")
    if move.cause is not None and not move.by.startswith("route "):
        why.append(f"chosen by {clean_line(move.by)}")
    if move.added:
        why.append(f"about {money(move.added, Grade.ESTIMATED)} more")
    return f"{clean_line(move.was)} -> {clean_line(move.to)} ({', '.join(why)})"


def target_cells(one: Standing, now: int) -> tuple[str, ...]:
    """A target as a row below `HEADS`."""
    record = f"{one.record.succeeded}/{one.record.ended}" if one.record.ended else "-"
    return (
        f"{'* ' if one.here else '  '}{clean_line(one.target)}",
        one.window if one.window is not WindowState.UNKNOWN else "-",
        f"{one.used:.0%}" if one.used is not None else "-",
        one.breaker or "-",
        cost_text(one.expected),
        f"{'−' if one.added < 0 else '+'}{money(abs(one.added))}" if one.added is not None else "?",
        record,
        stands(one, now),
    )


def cost_text(expected: Expected | None) -> str:
    """`$0.41~`: what one more job is expected to cost."""
    return money(expected.micros, expected.grade) if expected is not None else "-"


def stands(one: Standing, now: int) -> str:
    """Whether the job could go there now, and if not, why."""
    why = one.lacks or one.left or one.closed
    if not why:
        return "here" if one.here else "open"
    ends = f", {age(one.until - now)} left" if one.until is not None and one.until > now else ""
    return clean_line(why) + ends


def foreseen_line(one: Foreseen) -> str:
    policy = one.policy if one.policy is not None else "-"
    return f"  on {one.cause:<9} {policy:<8} {clean_line(one.what)}"


def choice_lines(found: RouteChoice) -> list[str]:
    """Which route a job takes and why, and what would be done. The targets are a table of their own."""
    lines = [f"route     {found.route or 'none'}"]
    lines += [f"  because {clean_line(why)}" for why in found.why]
    lines.append(f"target    {clean_line(found.target)}")
    if found.most is not None:
        lines.append(f"cost      its moves have added {money(found.spent)}, and may add {money(found.most)}")
    lines += [f"moved     {move_text(move)}" for move in found.moves]
    if found.foreseen:
        lines += ["", "If it could not go on where it is, now:", *map(foreseen_line, found.foreseen)]
    return lines


def route_lines(one: RouteStatus) -> list[str]:
    """One route of the settings, above the table of its targets."""
    says = ", ".join(f"{cause} {policy}" for cause, policy in one.policies.items())
    lines = [clean_line(one.name)]
    lines += [f"  matches   {clean_line(match)}" for match in one.matches] or ["  matches   only jobs that name it"]
    lines.append(f"  says      {says}")
    if one.options:
        lines.append(f"  and       {clean_line(', '.join(one.options))}")
    lines.append(f"  jobs      {plural(one.jobs, 'unfinished job')}, {plural(one.moves, 'move')} within a day")
    return lines
