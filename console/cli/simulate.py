"""`headway simulate`: a day of a fleet that nobody has, decided by the dispatcher's own functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.simulation.report import Rate, Report

SECONDS = 2.0  #: between two lines of progress


def add_to(app: typer.Typer) -> None:
    app.command("simulate")(simulate)


def simulate(
    scenario: Annotated[str, typer.Argument(metavar="[SCENARIO]", help="A scenario's name, or a YAML file.")] = "fleet",
    agents: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="So many at once, with hosts, accounts and jobs to match.")
    ] = None,
    hosts: Annotated[int | None, typer.Option(min=1, max=100_000, help="That they run on.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, max=10_000_000, help="That come over the day.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the jobs and of all jitter.  [default: the scenario's]")] = None,
    writer: Annotated[
        int | None,
        typer.Option(min=1, help="Jobs a second that one writer claims and settles.  [default: as it was measured]"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Play a day of ten thousand agents on five hundred hosts, in a minute or two, and say who waits, and for how long.

    Order, limits, pacing, breakers, retries and routes are decided by the functions that the dispatcher itself calls.
    Jobs, providers and hosts are made up: by a YAML file, or by the one that comes with Headway. Nothing of it touches
    a home, a key or a network. The same seed gives the same day.
    """
    from console.cli.output import print_json
    from engine.simulation.course import Course
    from engine.simulation.report import WRITER_RATE, WRITER_SOURCE, report
    from engine.simulation.scenario import read, sized

    day = sized(read(scenario), agents, hosts, jobs)
    chosen = day.seed if seed is None else seed
    course = Course(day, chosen)
    course.run(_progress(day.zero, day.span))
    source = WRITER_SOURCE if writer is None else "as given"
    found = report(scenario, course, chosen, writer or WRITER_RATE, source)
    if json:
        print_json(found)
    else:
        _print(found)


def _progress(zero: int, span: int) -> Callable[[int], None]:
    """A line on the way now and then, as long as somebody looks at it."""
    import sys
    from time import monotonic

    shown = monotonic()

    def tell(now: int) -> None:
        nonlocal shown
        if monotonic() - shown >= SECONDS:
            shown = monotonic()
            past, hours = now - zero, span / 3_600_000
            print(f"simulated {past / 3_600_000:.1f} of {hours:.0f} h ({past / span:.0%})", file=sys.stderr)

    return tell


def _print(found: Report) -> None:
    from console.cli.output import print_table
    from engine.units import span

    print(f"{found.scenario}, seed {found.seed}: {found.about}")
    print(f"{found.agents:,} agents on {found.hosts:,} hosts, {found.accounts:,} accounts, {found.hours:.0f} h\n")
    print(f"jobs      {found.came:,} came; {found.done:,} done, {found.failed:,} failed, {found.held:,} held for you")
    print(f"          {found.running:,} run, {found.waiting:,} wait; {found.moved:,} went to another account")
    print(f"attempts  {_counts(found.attempts)}")
    print(f"refused   {_counts(found.refused)}\n")
    rows = [
        [one.kind, f"{one.came:,}", f"{one.done:,}"]
        + [span(ms) for ms in (one.wait.p50, one.wait.p95, one.wait.most, one.flow.p50, one.flow.p95)]
        for one in found.kinds
    ]
    print_table(["KIND", "JOBS", "DONE", "WAIT P50", "P95", "MAX", "DONE P50", "P95"], rows, stretch=0)
    hosts = found.machines
    print(f"\nagents    {found.busy:.1%} of the slots busy, {found.at_once:,} at most")
    print(
        f"hosts     {hosts.mean:.1%} busy, from {hosts.least:.1%} to {hosts.most:.1%}; {hosts.filled:,} were full once"
    )
    for one in found.windows:
        used = f"{one.used:.1%} used, closed {one.closures:,} times, {one.shut:.1%} of the time"
        print(f"windows   {one.sort}, {one.accounts:,} accounts, {one.window}: {used}")
    print()
    load = {"submits": found.submits, "claims": found.claims, "settles": found.settles, "events": found.events}
    print_table(["LOAD", "ALL", "A SECOND", "PEAK"], [_row(n, r) for n, r in (load | {"rounds": found.rounds}).items()],
                stretch=0)  # fmt: skip
    writer = found.writer
    print(f"\nwriter    {writer.mean:.2%} of what one can do, {writer.peak:.1%} in the busiest second")
    print(f"          it claims and settles {writer.rate:,} jobs a second ({writer.source})")
    print(f"          on paper it would end at {writer.agents:,} agents with such work, or, as it comes in bursts,")
    print(f"          be late in single seconds from {writer.agents_at_peak:,} on")


def _counts(counted: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in counted.items()) or "none"


def _row(name: str, rate: Rate) -> list[str]:
    return [name, f"{rate.total:,}", f"{rate.mean:,.1f}", f"{rate.peak:,}"]
