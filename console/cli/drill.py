"""`headway drill`: what the engine is put through on purpose. Nothing of it touches a home, a key or a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from console.fire.card import Card
    from engine.drill.report import Report
    from engine.rehearsal.day import Plan

MEMORY = "/dev/shm"  #: where a drill's database is quickest, where there is that


def add_to(app: typer.Typer) -> None:
    family = typer.Typer(help="Put the engine through its paces, without an agent, a key or a network.")
    family.command("day")(day)
    family.command("fire")(fire)
    app.add_typer(family, name="drill")


def day(
    scenario: Annotated[str, typer.Argument(metavar="[DAY]", help="A day's name, or a YAML file.")] = "weather",
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", help="headway, retry, fallback or oracle; may be given again.  [default: all]"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Of the jobs and of all jitter.  [default: the day's]")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, max=100_000, help="So many, with windows to match.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Play a recorded day in virtual time: windows that close, 429s, an outage, a false reset.

    The engine's own dispatcher and store decide, beside two naive policies on the same day, and one that knows the
    weather. Exit 1 where the engine loses a job, lets a limit use up an attempt, or calls into a window that it knows
    to be closed.
    """
    from console.cli.output import note, print_json
    from engine.drill.report import POLICIES
    from engine.errors import UsageError
    from engine.rehearsal.day import Plan, read

    for name in policy or ():
        if name not in POLICIES:
            raise UsageError(f"there is no policy {name!r}: there are {', '.join(POLICIES)}")
    plan = Plan.of(read(scenario), seed, jobs)
    reports = _play(plan, policy or list(POLICIES))
    if json:
        print_json(reports)
    else:
        _table(scenario, plan, reports)
    broken = [words for one in reports if one.policy == "headway" for words in one.broken]
    for words in broken:
        note(f"headway: {words}")
    raise typer.Exit(1 if broken else 0)


def fire(
    faults: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FAULT]...",
            help="engine, agent, storm, outage, hang, disk, clock, line, ssh or garbage; unset is all.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Put real faults into a real engine with stand-ins for agents, and show how it came through each.

    Each fault has a home and an engine of its own, in a temporary directory; yours is not touched. `disk` needs root,
    to mount a small file system; `ssh` needs an sshd, which hears on loopback alone; for `clock` the engine alone is
    told another time. All of them take about two minutes. Exit 1 where work was lost, done twice or not ended.
    """
    import asyncio
    import tempfile
    from pathlib import Path

    from console.cli.output import note, print_json
    from console.fire.faults import FAULTS
    from engine.documents import nearest
    from engine.errors import UsageError

    for name in faults or ():
        if name not in FAULTS:
            raise UsageError(f"there is no fault {name!r}; {nearest(name, FAULTS)}")
    cards: list[Card] = []
    with tempfile.TemporaryDirectory(prefix="headway-drill-", ignore_cleanup_errors=True) as folder:
        for name in faults or FAULTS:
            if not json:
                note(f"{name}: {(FAULTS[name].__doc__ or name).splitlines()[0]}")
            cards.append(asyncio.run(FAULTS[name](Path(folder) / name)))
    if json:
        print_json(cards)
    else:
        _cards(cards)
    raise typer.Exit(0 if all(card.passed or card.skipped for card in cards) else 1)


def _cards(cards: list[Card]) -> None:
    def took(ms: int | None) -> str:
        return "never" if ms is None else f"{ms / 1000:.1f} s"

    print(f"{'fault':<17}{'detected in':>12}{'recovered in':>14}{'jobs':>6}{'lost':>6}{'twice':>7}   told by")
    for card in cards:
        if card.skipped:
            print(f"{card.fault:<17}not put in: {card.skipped}")
            continue
        head = f"{card.fault:<17}{took(card.detected):>12}{took(card.recovered):>14}"
        print(f"{head}{card.jobs:>6}{card.lost:>6}{card.twice:>7}   {card.trouble or card.by}")


def _play(plan: Plan, policies: list[str]) -> list[Report]:
    import asyncio
    import os
    import tempfile
    from pathlib import Path

    from engine.drill.report import play

    where = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="headway-drill-", dir=where) as folder:
        return asyncio.run(play(plan, policies, Path(folder)))


def _table(name: str, plan: Plan, reports: list[Report]) -> None:
    from console.format import money
    from engine.drill.report import POLICIES

    print(f"{name}: {plan.count} jobs on {len(plan.accounts)} accounts, seed {plan.seed}\n{plan.day.about}\n")
    rows = [
        ("", [one.policy for one in reports]),
        ("jobs done", [f"{one.done:,}" for one in reports]),
        ("jobs given up", [f"{one.failed:,}" for one in reports]),
        ("jobs lost", [f"{one.lost:,}" for one in reports]),
        ("done by another model", [f"{one.wrong_model:,}" for one in reports]),
        ("done on another account", [f"{one.moved:,}" for one in reports]),
        ("  without a word", [f"{one.silent:,}" for one in reports]),
        ("attempts", [f"{one.attempts:,}" for one in reports]),
        ("  used up by limits", [f"{one.burnt:,}" for one in reports]),
        ("calls answered", [f"{one.calls:,}" for one in reports]),
        ("  of them again", [f"{one.again:,}" for one in reports]),
        ("calls into closed windows", [f"{one.unaware + one.canaries + one.strays:,}" for one in reports]),
        ("  unaware", [f"{one.unaware:,}" for one in reports]),
        ("  canaries", [f"{one.canaries:,}" for one in reports]),
        ("  strays", [f"{one.strays:,}" for one in reports]),
        ("calls into bursts, outage", [f"{one.refused:,}" for one in reports]),
        ("money", [money(one.cost_micros) for one in reports]),
        ("  for a job done", [money(one.cost_micros // max(1, one.done)) for one in reports]),
        ("from coming to done, a job", [_minutes(one.flow // max(1, one.done)) for one in reports]),
        ("  the least possible", [_minutes(one.least_flow // max(1, one.done)) for one in reports]),
        ("  added to that", [_minutes(one.added // max(1, one.done)) for one in reports]),
        ("  later than the oracle", [_minutes(one.beyond // max(1, one.done)) for one in reports]),
        ("wait added, all jobs", [_hours(one.added) for one in reports]),
        ("  later than the oracle", [_hours(one.beyond) for one in reports]),
        ("last job done after", [_hours(one.ends) for one in reports]),
    ]
    for head, cells in rows:
        print(f"{head:<27}" + "".join(f"{cell:>12}" for cell in cells))
    print()
    for one in reports:
        print(f"{one.policy}: {POLICIES[one.policy]}")


def _hours(ms: int) -> str:
    return f"{ms / 3_600_000:,.1f} h"


def _minutes(ms: int) -> str:
    return f"{ms / 60_000:,.1f} min"
