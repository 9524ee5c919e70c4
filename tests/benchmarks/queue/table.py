"""The results as tables: plain for a terminal, markdown for the documentation."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from tests.benchmarks.queue.goals import Goal
from tests.benchmarks.queue.measure import Results, Summary
from tests.benchmarks.queue.plan import Plan
from tests.benchmarks.queue.served import Served
from tests.benchmarks.queue.systems import Size, System, Work

FEW = 50  #: jobs: a cell that did fewer before its time was up says so

#: The sections of the whole table, and the works that are rows of each.
_SECTIONS = (
    ("Durable submit, one submitter", (Work.SINGLE,)),
    ("Durable submit, 64 submitters, each waiting for its answer", (Work.TOGETHER,)),
    ("Durable submit, 1,000 jobs a call", (Work.BULK,)),
    ("Claim and settle jobs that do nothing", (Work.CYCLE, Work.CYCLE_TOGETHER)),
)


@dataclass(frozen=True, slots=True)
class Section:
    """One table with what has to be said under it."""

    title: str
    head: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)


def sections(plan: Plan, results: Results, served: Served, kinds: Sequence[type[System]]) -> list[Section]:
    """All tables but the goals."""
    made = [_rates(plan, results, kinds, title, works) for title, works in _SECTIONS]
    return [*made, _bytes(results), _starts(served), _idle(plan, served)]


def _rates(plan: Plan, results: Results, kinds: Sequence[type[System]], title: str, works: Sequence[Work]) -> Section:
    rows, notes = [], []
    for kind in kinds:
        for work in works:
            if work not in kind.works:
                continue
            name = f"{kind.name}, {kind.ways[work]}" if len(works) > 1 and work in kind.ways else kind.name
            cells = []
            for size in plan.sizes:
                found = results.rate(kind.name, work, size)
                cells.append(_rate(found) if found else f"as with {plan.smallest.label}")
                if note := _few(results, kind, work, size, name):
                    cells[-1] += " †"
                    notes.append(note)
            rows.append([name, *cells])
    head = ["jobs a second, median (quartiles)", *(size.label for size in plan.sizes)]
    return Section(title, head, rows, notes)


def _few(results: Results, kind: type[System], work: Work, size: Size, name: str) -> str | None:
    samples = results.samples.get((kind.name, work, size.label), [])
    if not samples or (done := statistics.median(one.done for one in samples)) >= FEW:
        return None
    seconds = statistics.median(one.seconds for one in samples)
    return f"† {name}, {size.label}: {done:.0f} done in {seconds:.1f} s"


def _bytes(results: Results) -> Section:
    rows = [[name, f"{value:,.0f}"] for name, value in results.job_bytes.items()]
    return Section("What a finished job that did nothing leaves on the disk", ["", "bytes"], rows)


def _starts(served: Served) -> Section:
    rows = []
    for name, rounds in (
        ("Headway: submit until the child runs", served.submits),
        ("two raw commits, then posix_spawn", served.floors),
        ("posix_spawn", served.spawns),
        ("making one empty file", served.files),
    ):
        ordered = sorted(chain.from_iterable(rounds))
        late = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
        rows.append([name, f"{statistics.median(ordered):.2f}", f"{late:.2f}"])
    title = f"Starting a shell through a served engine ({len(ordered)} each, in turns)"
    return Section(title, ["milliseconds", "p50", "p99"], rows)


def _idle(plan: Plan, served: Served) -> Section:
    rows = [["wake-ups a second", f"{served.wakeups:.2f}"], ["per cent of a core", f"{served.processor:.3f}"]]
    return Section(f"A served engine with nothing to do, over {plan.idle_seconds:.0f} s", ["", ""], rows)


def judged(goals: Sequence[Goal], plan: Plan) -> Section:
    """The goals and what became of them."""
    rows = []
    for goal in goals:
        wanted = f"{'at least' if goal.least else 'at most'} {goal.bound:,g}{goal.unit}"
        if "" in goal.values:
            cells = [_value(goal.values[""].middle, goal.unit), *[""] * (len(plan.sizes) - 1)]
        else:
            cells = [
                _value(found.middle, goal.unit) if (found := goal.values.get(size.label)) else "" for size in plan.sizes
            ]
        rows.append([goal.text, wanted, *cells, "met" if goal.met else "missed"])
    head = ["Headway's goals, medians of ratios", "wanted", *(size.label for size in plan.sizes), ""]
    return Section("Goals", head, rows)


def _rate(found: Summary) -> str:
    return f"{_short(found.middle)} ({_short(found.low)}-{_short(found.high)})"


def _short(rate: float) -> str:
    """Three digits that count."""
    if rate < 100:
        return f"{rate:.3g}"
    digits = len(str(int(rate))) - 3
    return f"{round(rate, -digits):,.0f}"


def _value(number: float, unit: str) -> str:
    return f"{number:,.0f}{unit}" if abs(number) >= 100 else f"{number:.2f}{unit}"


def as_text(section: Section) -> str:
    widths = [max(len(row[n]) for row in [section.head, *section.rows]) for n in range(len(section.head))]
    lines = [section.title]
    for row in [section.head, *section.rows] if any(section.head) else section.rows:
        first, *rest = [
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(["  " + first, *rest]).rstrip())
    return "\n".join([*lines, *("  " + note for note in section.notes)])


def as_markdown(section: Section) -> str:
    rule = ["---", *["---:"] * (len(section.head) - 1)]
    table = "\n".join("| " + " | ".join(row) + " |" for row in [section.head, rule, *section.rows])
    notes = "\n\n" + "; ".join(section.notes) if section.notes else ""
    return f"### {section.title}\n\n{table}{notes}\n"
