"""What a simulated day came to, as the figures that are printed. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from msgspec import Struct

from engine.simulation.course import Course
from engine.simulation.tally import Load, Tally

#: Jobs that one writer claims and settles in a second: see `WRITER_SOURCE`.
WRITER_RATE = 1_100
WRITER_SOURCE = "docs/scale.md, `python -m tests.benchmarks.queue`"


class Spread(Struct, frozen=True):
    """Milliseconds: the middle, what nineteen of twenty stay below, and the most."""

    p50: int
    p95: int
    most: int


class Sort(Struct, frozen=True, kw_only=True):
    """How the jobs of one kind fared."""

    kind: str
    came: int
    begun: int
    done: int
    wait: Spread
    """From coming to the first attempt; of those that have not begun, as long as they have waited."""
    flow: Spread
    """From coming to done, of those that were."""


class Rate(Struct, frozen=True, kw_only=True):
    """Something that the control plane does: so often in all, in a second on average, and in the busiest one."""

    total: int
    mean: float
    peak: int


class Windows(Struct, frozen=True, kw_only=True):
    """The rate-limit windows of one sort of accounts."""

    sort: str
    accounts: int
    window: str
    used: float
    """Of those that are over, on average. 0 to 1."""
    closures: int
    """How often one was used up before its end."""
    shut: float
    """Of the time, how much they were closed. 0 to 1."""


class Machines(Struct, frozen=True, kw_only=True):
    """How busy the hosts were: shares of their slots over the whole time, 0 to 1."""

    count: int
    slots: int
    mean: float
    least: float
    most: float
    filled: int
    """Hosts that had no slot left at some time."""


class Writer(Struct, frozen=True, kw_only=True):
    """Where the one writer would end. On paper: claims and settlements alone, at the rate that was measured."""

    rate: int
    """Jobs that it claims and settles in a second."""
    source: str
    mean: float
    """The part of it that this day takes, on average."""
    peak: float
    """And in its busiest second."""
    agents: int
    """So many agents would take all of it on average, with work like this."""
    agents_at_peak: int
    """And so many in their busiest second."""


class Report(Struct, frozen=True, kw_only=True):
    """One day. Times are milliseconds, shares are 0 to 1."""

    scenario: str
    about: str
    seed: int
    hours: float
    agents: int
    hosts: int
    accounts: int
    came: int
    done: int
    failed: int
    held: int
    running: int
    waiting: int
    attempts: dict[str, int]
    """By how they ended."""
    refused: dict[str, int]
    """Calls, by why they were refused."""
    moved: int
    """Jobs that went to another account."""
    kinds: list[Sort]
    waited: int
    """All waiting for the first attempt, added up."""
    busy: float
    """Of the slots, over the whole time."""
    at_once: int
    """Attempts at most."""
    machines: Machines
    windows: list[Windows]
    submits: Rate
    claims: Rate
    settles: Rate
    events: Rate
    rounds: Rate
    """Looks at the queue."""
    writer: Writer


def report(name: str, course: Course, seed: int, rate: int = WRITER_RATE, source: str = WRITER_SOURCE) -> Report:
    """The figures of a day that is over."""
    tally, scenario = course.tally, course.scenario
    rates = {what: _rate(tally.seconds[what], tally.span) for what in Load}
    return Report(
        scenario=name,
        about=scenario.about,
        seed=seed,
        hours=scenario.span / 3_600_000,
        agents=scenario.agents,
        hosts=scenario.hosts.count,
        accounts=len(course.accounts),
        came=course.submitted,
        done=course.done,
        failed=course.failed,
        held=course.held,
        running=len(course.attempts),
        waiting=len(course.jobs) - len(course.attempts) - course.held,
        attempts=dict(sorted(tally.ends.items())),
        refused=dict(sorted(tally.refused.items())),
        moved=course.moved,
        kinds=_kinds(course),
        waited=sum(sum(waits) for waits in tally.waits.values()),
        busy=_share(tally.busy, tally.offered),
        at_once=tally.most,
        machines=_machines(course),
        windows=_windows(course),
        submits=rates[Load.SUBMITS],
        claims=rates[Load.CLAIMS],
        settles=rates[Load.SETTLES],
        events=rates[Load.EVENTS],
        rounds=rates[Load.ROUNDS],
        writer=_writer(tally, rate, source),
    )


def spread(spans: Sequence[int]) -> Spread:
    """The nearest ranks: no interpolation invents a value."""
    ordered = sorted(spans)
    if not ordered:
        return Spread(0, 0, 0)
    return Spread(ordered[(len(ordered) - 1) // 2], ordered[-(-len(ordered) * 95 // 100) - 1], ordered[-1])


def _kinds(course: Course) -> list[Sort]:
    late: dict[str, list[int]] = {}
    for job in course.jobs.values():
        if not job.row.attempts:
            late.setdefault(job.errand.kind, []).append(course.world.now - job.errand.comes)
    found = []
    for kind in course.scenario.kinds:
        begun, waits, flows = course.tally.waits[kind], late.get(kind, []), course.tally.flows[kind]
        found.append(
            Sort(
                kind=kind,
                came=len(begun) + len(waits),
                begun=len(begun),
                done=len(flows),
                wait=spread([*begun, *waits]),
                flow=spread(flows),
            )
        )
    return found


def _machines(course: Course) -> Machines:
    hosts, span = course.places.hosts, course.tally.span
    running = dict.fromkeys(range(len(hosts)), 0)
    for attempt in course.attempts.values():
        running[attempt.host.number] += course.world.now - attempt.begun
    busy = [_share(one.busy + running[one.number], one.slots * span) for one in hosts]
    return Machines(
        count=len(hosts),
        slots=hosts[0].slots,
        mean=sum(busy) / len(busy),
        least=min(busy),
        most=max(busy),
        filled=sum(one.most >= one.slots for one in hosts),
    )


def _windows(course: Course) -> list[Windows]:
    found = []
    for sort, said in course.scenario.accounts.items():
        accounts = [one for one in course.accounts.values() if one.login.sort == sort]
        for number, quota in enumerate(said.windows):
            meters = [one.supply.meters[number] for one in accounts]
            open_since = sum(course.world.now - one.closed_at for one in meters if one.closed)
            found.append(
                Windows(
                    sort=sort,
                    accounts=len(accounts),
                    window=quota.window,
                    used=_share(sum(one.filled for one in meters), sum(one.windows for one in meters)),
                    closures=sum(one.closures for one in meters),
                    shut=_share(sum(one.shut_ms for one in meters) + open_since, len(meters) * course.tally.span),
                )
            )
    return found


def _rate(seconds: array[int], span: int) -> Rate:
    total = sum(seconds)
    return Rate(total=total, mean=total * 1000 / span, peak=max(seconds, default=0))


def _writer(tally: Tally, rate: int, source: str) -> Writer:
    """A claim and a settlement of one job cost the writer one `rate`th of a second together, so each about half."""
    claims, settles = tally.seconds[Load.CLAIMS], tally.seconds[Load.SETTLES]
    mean = (sum(claims) + sum(settles)) / 2 * 1000 / tally.span / rate
    peak = max((one + other for one, other in zip(claims, settles, strict=True)), default=0) / 2 / rate
    running = _share(tally.busy, tally.span)
    return Writer(
        rate=rate,
        source=source,
        mean=mean,
        peak=peak,
        agents=round(running / mean) if mean else 0,
        agents_at_peak=round(tally.most / peak) if peak else 0,
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
