"""The blocks of the overview as lines: what needs you, who works, limits, the last hour, what is to come. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from console.cards import stands
from console.charts import bar, gauge, spark
from console.format import age, clean_line, clock, fit, job_name, money, number, plural, right, tokens
from console.roles import Part, Role
from console.status import mark_of, shown_age
from engine.decision import Card
from engine.model import Estimate, Job, Progress
from engine.model.trend import Trend
from engine.window import Standing, WindowState

HOUR_MS = 3_600_000
GANTT_LEAST = 600_000  #: milliseconds of the shortest axis: jobs of seconds are not drawn as if they took hours

#: Signs of a bar in time: what has passed, what is expected, and by when nine of ten are through.
PAST, LIKELY, LATE = "█", "▒", "░"


@dataclass(frozen=True, slots=True)
class BoardLine:
    """One line, and the job that enter opens where there is one."""

    left: tuple[Part, ...]
    right: tuple[Part, ...] = ()
    job: int | None = None
    card: int | None = None

    @property
    def stops(self) -> bool:
        """The cursor can stand on it."""
        return self.job is not None


@dataclass(frozen=True, slots=True)
class Block:
    """A heading and what is below it; `least` lines of it are kept where there is little room."""

    head: BoardLine
    lines: tuple[BoardLine, ...]
    least: int = 3


def fold(blocks: Sequence[Block], height: int) -> list[BoardLine]:
    """The blocks in so many lines: each begins with its top lines, and what room is left goes to them in turn.

    A blank line parts them where there is room for it, and where lines were left out the last one says how many.
    """
    room = height - sum(1 + min(block.least, len(block.lines)) for block in blocks)
    gaps = len(blocks) - 1 if room >= len(blocks) - 1 else 0
    room -= gaps
    shown = []
    for block in blocks:
        kept = min(block.least, len(block.lines))
        more = min(max(0, room), len(block.lines) - kept)
        room -= more
        shown.append(kept + more)
    found: list[BoardLine] = []
    for place, (block, count) in enumerate(zip(blocks, shown, strict=True)):
        found += [BoardLine(())] if place and gaps else []
        found.append(block.head)
        if count < len(block.lines) and count:
            left_out = len(block.lines) - count + 1
            found += [*block.lines[: count - 1], BoardLine(((f"   {left_out} more", Role.MUTED),))]
        else:
            found += block.lines[:count]
    return found[:height]


def needs_you(cards: Sequence[Card], failed: int, now: int) -> Block:
    """The cards that wait, the oldest first."""
    head = _head("needs you", f"{number(len(cards))} !" if cards else "")
    lines = [
        BoardLine(
            (
                (" ! ", Role.YOU),
                (f"{fit(card.kind.value, 10)} ", Role.TEXT),
                (clean_line(card.summary or card.title), Role.TEXT),
            ),
            ((f" {job_name(card.job)}  {fit(stands(card, now), 12)} {right(age(now - card.at, 5), 5)} ", Role.MUTED),),
            card.job,
            card.id,
        )
        for card in cards
    ]
    if not lines:
        rest = f"; {plural(failed, 'job')} failed, 2 then n goes through them" if failed else ""
        lines = [BoardLine(((f"   nothing waits for you{rest}", Role.MUTED),))]
    return Block(head, tuple(lines))


def workers(jobs: Sequence[Job], told: Mapping[int, Progress], slots: int, now: int, *, ascii: bool = False) -> Block:
    """Who works on what, and what was said last."""
    lines = []
    for job in jobs:
        mark = mark_of(job, now)
        used = job.input_tokens + job.output_tokens
        word = told.get(job.id)
        parts: tuple[Part, ...] = (
            (f" {mark.ascii if ascii else mark.glyph} ", mark.role),
            (f"{fit(job_name(job.id), 7)} ", Role.HEADING),
            (f"{fit(clean_line(job.model or job.agent), 12)} ", Role.MUTED),
            (f"{right(age(shown_age(job, now), 5), 5)} {right(tokens(used) if used else '-', 5)}  ", Role.MUTED),
            (clean_line(word.line if word else job.title), Role.TEXT),
        )
        lines.append(BoardLine(parts, (), job.id))
    if not lines:
        lines = [BoardLine((("   no agent is at work", Role.MUTED),))]
    return Block(_head("workers", f"{len(jobs)} of {slots} busy"), tuple(lines))


def limits(windows: Sequence[WindowState], now: int, width: int) -> Block:
    """The windows, the fullest first: how much is used, and when that ends."""
    order = sorted(windows, key=lambda one: (one.standing is not Standing.CLOSED, -(one.used or 0.0)))
    cells = max(8, min(40, width - 52))
    lines = []
    for one in order:
        name = f"{clean_line(one.account)} {clean_line(one.window)}{f' {clean_line(one.model)}' if one.model else ''}"
        shut = one.standing is Standing.CLOSED
        role = Role.WAIT if shut or one.standing is Standing.WARNING else Role.RUN
        share = one.used if one.used is not None else (1.0 if shut else None)
        picture = gauge(share, cells) if share is not None else fit("not known", cells)
        ends = one.until if one.until is not None else one.resets_at
        when = f"resets in {age(ends - now)}" if ends is not None and ends > now else ""
        held = f"{plural(one.waiting, 'job')} held" if one.waiting else ""
        said = "  ".join(filter(None, (f"{share:4.0%}" if share is not None else "", when, held)))
        lines.append(BoardLine(((f" {fit(name, 22)} ", Role.TEXT), (picture, role), (f" {said}", Role.MUTED))))
    if not lines:
        lines = [BoardLine((("   no agent has told of a limit yet", Role.MUTED),))]
    return Block(_head("limits"), tuple(lines))


def of_late(trend: Trend, width: int) -> Block:
    """The last hour in sparklines: what ended, what it cost, how deep the queue was."""
    cells = max(6, min(24, (width - 44) // 3))
    done, failed, cost = sum(trend.done), sum(trend.failed), sum(trend.cost_micros)
    first: tuple[Part, ...] = (
        (f" done {number(done)} ", Role.TEXT), (spark(trend.done, cells), Role.DONE),
        (f"   failed {number(failed)} ", Role.TEXT), (spark(trend.failed, cells), Role.FAILED),
        (f"   {money(cost)} ", Role.TEXT), (spark(trend.cost_micros, cells), Role.RUN),
    )  # fmt: skip
    last = trend.depth[-1] if trend.depth else 0
    moved = last - trend.depth[0] if trend.depth else 0
    second: tuple[Part, ...] = (
        (f" queue {number(last)} ", Role.TEXT), (spark(trend.depth, cells), Role.WAIT),
        (f" {'+' if moved > 0 else '−'}{abs(moved):,} in the hour" if moved else " as before", Role.MUTED),
        (f"   tokens {tokens(sum(trend.tokens))} ", Role.TEXT), (spark(trend.tokens, cells), Role.RUN),
    )  # fmt: skip
    return Block(_head("last hour"), (BoardLine(first), BoardLine(second)), least=2)


def to_come(jobs: Sequence[Job], estimates: Mapping[int, Estimate], now: int, width: int, ascii: bool = False) -> Block:
    """A bar in time for each job that runs or is expected to: what has passed, what is likely, what may be."""
    known = [(job, estimates.get(job.id)) for job in jobs]
    ends = [one.finish_late or one.finish for _, one in known if one is not None and one.finish is not None]
    starts = [job.started_at for job in jobs if job.started_at is not None and job.state.value in ("running", "gating")]
    last = max([now + GANTT_LEAST, *(end for end in ends if end is not None)])
    first = max(min([now, *starts]), now - (last - now) // 3)
    cells = max(10, width - 34)
    lines = []
    for job, one in known:
        mark = mark_of(job, now)
        begun = job.started_at if job.state.value in ("running", "gating") else None
        start = begun if begun is not None else one.start if one is not None else None
        name: tuple[Part, ...] = (
            (f" {mark.ascii if ascii else mark.glyph} ", mark.role),
            (f"{fit(job_name(job.id), 7)} {fit(clean_line(job.title), 20)} ", Role.TEXT),
        )
        if start is None or one is None:
            why = clean_line(one.why) if one is not None and one.why else "not forecast"
            lines.append(BoardLine((*name, (why, Role.MUTED)), (), job.id))
            continue
        lines.append(BoardLine((*name, *_bars(start, one, now, first, last, cells)), (), job.id))
    if not lines:
        lines = [BoardLine((("   nothing runs and nothing waits", Role.MUTED),))]
    axis = f"{clock(first)} to {clock(last)}, now {clock(now)}"
    legend = f"{PAST} so far  {LIKELY} likely  {LATE} nine of ten"
    return Block(_head("to come", f"{axis}   {legend}"), tuple(lines), least=4)


def _bars(start: int, one: Estimate, now: int, first: int, last: int, cells: int) -> list[Part]:
    """So far, likely and late, each of one style."""
    so_far = bar(start, now, first, last, cells, PAST) if start < now else " " * cells
    likely = bar(max(start, now), one.finish, first, last, cells, LIKELY)
    late = bar(max(start, now), one.finish_late or one.finish, first, last, cells, LATE)
    text = "".join(
        past if past != " " else probable if probable != " " else possible
        for past, probable, possible in zip(so_far, likely, late, strict=True)
    )
    edge = len(text.rstrip(LIKELY + LATE + " ")) if start < now else 0
    return [(text[:edge], Role.RUN), (text[edge:].rstrip(), Role.WAIT if start < now else Role.ACCENT)]


def _head(title: str, told: str = "") -> BoardLine:
    return BoardLine(((f" {title}", Role.HEADING),), ((f"{told} ", Role.MUTED),) if told else ())
