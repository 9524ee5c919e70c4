"""`headway explain`, `forecast`, `batches`, `breakers`: why things stand as they do, and what is to be expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx

if TYPE_CHECKING:
    from engine.model import Explanation
    from engine.model.forecast import Burn, Forecast, Through

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer) -> None:
    for command in (explain, forecast, batches, breakers):
        app.command()(command)


def explain(
    context: typer.Context,
    job: Annotated[str, typer.Argument(metavar="JOB", help="A job id, such as 12 or J12.")],
    json: _Json = False,
) -> None:
    """Why a job stands where it stands: what keeps it, when that ends, when it is expected to start and to finish."""
    from console.cli.output import print_json
    from console.cli.verbs import one_id

    number = one_id(job)
    found = ctx.of(context).ask(lambda client: client.explain(number))
    if json:
        print_json(found)
    else:
        print("\n".join(_explained(found)))


def _explained(found: Explanation) -> list[str]:
    from console.ahead import cost_text, span_text, when_text
    from console.format import clean_line, moment, plural
    from console.moves import move_text
    from console.status import mark_of
    from engine.clock import now_ms

    now = now_ms()
    job, estimate = found.job, found.estimate
    mark = mark_of(job, now)
    lines = [f"J{job.id}  {clean_line(job.title)}", f"  state     {mark.glyph} {mark.word}"]
    for reason in found.waiting:
        lines.append(f"  waits     {clean_line(reason.text)}")
        if reason.until is not None or reason.ends:
            ends = "; ".join(filter(None, (when_text(reason.until, now) if reason.until else "", reason.ends)))
            lines.append(f"    until   {clean_line(ends)}")
    if found.ahead is not None:
        lines.append(f"  in line   {plural(found.ahead, 'job')} of priority {job.priority} before it")
    if job.deadline is not None and job.ended_at is None:
        lines.append(f"  deadline  {when_text(job.deadline, now)}: it fails then, if it has not ended")
        if estimate is not None and estimate.finish is not None and estimate.finish > job.deadline:
            lines.append(f"    risk    it is expected to finish only at {moment(estimate.finish)}")
    if estimate is not None:
        lines.append(f"  target    {estimate.target}")
        lines.append(f"  start     {span_text(estimate.start, estimate.start_late, now, estimate.why)}")
        lines.append(f"  finish    {span_text(estimate.finish, estimate.finish_late, now, estimate.why)}")
        if estimate.why and estimate.finish is not None:
            lines.append(f"    note    {clean_line(estimate.why)}")
        if estimate.basis and estimate.cost_micros is not None:
            lines.append(
                f"  cost      {cost_text(estimate.cost_micros)}, from {plural(estimate.basis, 'earlier attempt')}"
            )
    lines += [f"  moved     {move_text(move)}" for move in found.moves]
    lines += [f"  note      {clean_line(note)}" for note in found.notes]
    return lines


def forecast(context: typer.Context, json: _Json = False) -> None:
    """When the queue will be through and what it will cost, and when each account runs into its limits."""
    from console.cli.output import print_json, print_table
    from console.format import money, number

    found = ctx.of(context).ask(lambda client: client.forecast())
    if json:
        print_json(found)
        return
    print("\n".join(_through(found.through, found.now)))
    if found.burns:
        print()
        rows = [_burn(one, found) for one in found.burns]
        print_table(("ACCOUNT", "WINDOW", "USED", "AN HOUR", "USED UP", "RESETS"), rows, stretch=4)
    if found.paces:
        print()
        paces = [
            (
                one.account,
                number(round(one.tokens / one.hours)),
                "-" if one.cost_micros is None else money(round(one.cost_micros / one.hours), one.grade),
            )
            for one in found.paces
        ]
        print_table(("ACCOUNT", "TOKENS AN HOUR", "MONEY AN HOUR"), paces, stretch=0)


def _through(found: Through, now: int) -> list[str]:
    from console.ahead import cost_text, span_text
    from console.format import money, plural
    from engine.model import Grade

    if not found.jobs:
        return ["queue     empty"]
    first = "" if found.whole else "the first "
    lines = [f"queue     {first}{plural(found.jobs, 'job')}, played through {plural(found.games, 'time')}"]
    lines.append(f"  done    {span_text(found.finish, found.finish_late, now, found.why)}")
    if found.cost_micros is not None and found.cost_late_micros is not None:
        late = money(found.cost_late_micros, Grade.ESTIMATED, 4)
        lines.append(f"  cost    {cost_text(found.cost_micros)}; p90 {late}")
    for count, what in (
        (found.stuck, "come to no end by themselves, and are left out: held, behind such, or late for their deadline"),
        (found.borrowed, "have no history of their own, and are taken to be like all others"),
        (found.unpriced, "have no known price, and are left out of the cost"),
    ):
        if count:
            lines.append(f"  note    {count:,} of them {what}")
    return lines


def _burn(one: Burn, found: Forecast) -> tuple[str, ...]:
    from console.ahead import when_text
    from console.format import clean_line, moment

    rate = "-" if one.rate is None else f"{one.rate:.1%}"
    wall = one.why if one.wall is None else when_text(one.wall, found.now)
    if one.wall is not None and one.wall > found.now and (found.through.finish or 0) > one.wall:
        wall += ", before the queue is through"
    resets = "-" if one.resets_at is None else moment(one.resets_at)
    return clean_line(one.account), clean_line(one.window), f"{one.used:.0%}", rate, wall, resets


def batches(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many.")] = 20,
    json: _Json = False,
) -> None:
    """Jobs that were submitted together under a name, newest first, and how far they are."""
    from console.cli.output import note, print_json, print_table
    from console.format import moment
    from engine.model import State

    found = ctx.of(context).ask(lambda client: client.batches(limit))
    if json:
        print_json(found)
        return
    if not found:
        note("no batch yet: headway submit -f jobs.yaml --batch NAME")
        return
    rows = [
        (
            str(one.id),
            moment(one.at),
            f"{one.ended}/{one.total}",
            f"{one.ended / one.total:.0%}" if one.total else "-",
            str(one.counts.get(State.RUNNING, 0)),
            str(one.counts.get(State.FAILED, 0)),
            f"J{one.follow_up}" if one.follow_up is not None else "-",
            one.name,
        )
        for one in found
    ]
    print_table(("BATCH", "AT", "ENDED", "DONE", "RUN", "FAILED", "THEN", "NAME"), rows, stretch=7)


def breakers(context: typer.Context, json: _Json = False) -> None:
    """The targets that have failed of late, and which of them are paused."""
    from console.ahead import when_text
    from console.cli.output import note, print_json, print_table
    from engine.clock import now_ms

    found = ctx.of(context).ask(lambda client: client.breakers())
    if json:
        print_json(found)
        return
    if not found:
        note("no target has failed within the last hour")
        return
    now = now_ms()
    rows = []
    for one in found:
        paused = one.until is not None and one.until > now
        state = f"paused until {when_text(one.until or 0, now)}" if paused else (
            f"at most {one.allowed} at once" if one.allowed is not None else "open"
        )  # fmt: skip
        rows.append((one.target, str(one.failure or "-"), str(len(one.strikes)), state))
    print_table(("TARGET", "CLASS", "FAILURES", "STATE"), rows, stretch=3)
