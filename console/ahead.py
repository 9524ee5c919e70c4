"""What is foreseen, as text: moments, spans, previews. Pure."""

from __future__ import annotations

from console.format import age, clean_line, moment, money
from engine.model import Explanation, Grade, Preview, Quota, Shift, State

NAMED = 10  #: jobs of a preview that are told line by line


def when_text(at: int, now: int) -> str:
    """`2026-11-25 14:02:10 UTC, in 12m`."""
    if at <= now:
        return f"{moment(at)}, now"
    return f"{moment(at)}, in {age(at - now)}"


def span_text(likely: int | None, late: int | None, now: int, why: str = "") -> str:
    """The likely moment, and the one that is later than nine of ten (p90)."""
    if likely is None:
        return f"not known: {clean_line(why)}" if why else "not known"
    text = when_text(likely, now)
    if late is not None and late - likely >= 1_000:
        return f"{text}; p90 {moment(late)}"
    return text if late is not None else f"{text}; p90 not known"


def eta_text(finish: int | None, now: int) -> str:
    """A list's short column: `~12m`, or `-` where nobody knows."""
    return "-" if finish is None else f"~{age(max(0, finish - now))}"


def cost_text(cost: int) -> str:
    return f"about {money(cost, Grade.ESTIMATED, 4)}"


def explained_line(found: Explanation, now: int) -> str:
    """Why a job stands where it stands, in one line: what keeps it, and when it is expected to be done."""
    said = [clean_line(reason.text) for reason in found.waiting]
    if found.job.state is State.RUNNING:
        said.append("it runs")
    elif not said:
        said += [clean_line(note) for note in found.notes[:1]]
    estimate = found.estimate
    if estimate is not None:
        start, finish = estimate.start, estimate.finish
        if start is not None and start > now:
            said.append(f"starts in about {age(start - now)}")
        said.append(
            f"ends in about {age(max(0, finish - now))}" if finish is not None else f"end not known: {estimate.why}"
        )
    return f"J{found.job.id}: {'; '.join(said) or found.job.state}"


def preview_lines(preview: Preview, now: int) -> list[str]:
    """What a change would do, job by job and as a whole."""
    lines = [_shift_line(shift, now) for shift in preview.shifts[:NAMED]]
    more = len(preview.shifts) - NAMED + preview.others if len(preview.shifts) > NAMED else preview.others
    if more:
        lines.append(f"  and {more:,} more jobs move")
    before, after = preview.finish_before, preview.finish_after
    if after is not None:
        was = f" (now {moment(before)})" if before is not None and abs(after - before) >= 1_000 else ""
        lines.append(f"  all done   {when_text(after, now)}{was}")
    elif preview.shifts or preview.others:
        lines.append("  all done   not known: some of the jobs have no history, or wait for a person")
    if preview.cost_micros is not None or preview.unpriced:
        known = "" if preview.cost_micros is None else _signed(preview.cost_micros)
        rest = f"{preview.unpriced} without a known price" if preview.unpriced else ""
        lines.append(f"  cost       {', '.join(filter(None, (known, rest)))}")
    if preview.quota:
        lines.append(f"  limits     {', '.join(map(quota_text, preview.quota))}")
    return lines


def preview_line(preview: Preview | None, now: int) -> str:
    """A change in one line: when all is done then, what it costs more or less, whose limits it weighs on.

    Empty where it changes none of the three as far as anybody knows.
    """
    if preview is None:
        return ""
    said = []
    before, after = preview.finish_before, preview.finish_after
    if after is not None:
        moved = after - before if before is not None else 0
        how = f" ({age(abs(moved))} {'later' if moved > 0 else 'earlier'})" if abs(moved) >= 1_000 else ""
        said.append(f"all done in {age(after - now)}{how}" if after > now else f"all is done{how}")
    elif preview.shifts or preview.others:
        said.append("end not known")
    if preview.cost_micros:
        said.append(f"{_signed(preview.cost_micros, 2)}")
    if preview.unpriced:
        said.append(f"{preview.unpriced} of no known price")
    said += [quota_text(one) for one in preview.quota[:3]]
    return ", ".join(said)


def quota_text(one: Quota) -> str:
    """`claude@work +12 (five_hour 74%)`."""
    used = f" ({clean_line(one.window)} {one.used:.0%})" if one.used is not None else ""
    more = f"+{one.jobs}" if one.jobs > 0 else f"−{-one.jobs}"
    return f"{clean_line(one.account)} {more}{used}"


def _signed(micros: int, digits: int = 4) -> str:
    sign = "+" if micros >= 0 else "−"
    return f"{sign}{money(abs(micros), Grade.ESTIMATED, digits)}"


def _shift_line(shift: Shift, now: int) -> str:
    name = f"  J{shift.job:<8} "
    after = shift.after
    if shift.stops:
        return f"{name}stops"
    if after is None:
        return f"{name}leaves the queue"
    if shift.now:
        what = "starts now"
    elif after.start is not None:
        what = f"starts {when_text(after.start, now)}"
    else:
        what = f"waits: {clean_line(shift.waits or after.why)}"
    finish = f", ends {moment(after.finish)}" if after.finish is not None else ""
    was = ""
    if shift.before is not None and shift.before.start is not None and not shift.now:
        moved = None if after.start is None else after.start - shift.before.start
        if moved is not None and abs(moved) >= 1_000:
            was = f" ({age(abs(moved))} {'later' if moved > 0 else 'earlier'})"
    return f"{name}{what} on {after.target}{finish}{was}"
