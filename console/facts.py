"""What is known of one job, as lines: the head of its screen, its attempts, what was asked. Pure."""

from __future__ import annotations

from console.conversation import compacted_text, context_text, session_text
from console.footprint import footprint_text
from console.format import age, clean_line, clean_lines, job_name, moment, money, plural, tokens
from console.moves import move_text
from console.roles import Part, Role
from console.status import DONE, FAILED, RUNNING, mark_of, shown_age
from console.transcript import Entry
from engine.model import Attempt, JobDetail, Progress
from engine.sessions import Session


def head_lines(
    detail: JobDetail, now: int, *, ascii: bool = False, progress: Progress | None = None
) -> list[list[Part]]:
    """The three lines above the tabs: how it stands, where it works, what to know."""
    job = detail.job
    mark = mark_of(job, now)
    target = f"{job.agent}:{job.model}" if job.model else job.agent
    first: list[Part] = [
        (f" {mark.ascii if ascii else mark.glyph} {mark.word}", mark.role),
        (f" {age(shown_age(job, now), 5)}", Role.TEXT),
        (f"   {clean_line(target)}", Role.ACCENT),
        (f"   {plural(job.attempts, 'attempt')}   P{job.priority}", Role.MUTED),
    ]
    if job.input_tokens or job.output_tokens:
        first.append((f"   {tokens(job.input_tokens)} in, {tokens(job.output_tokens)} out", Role.MUTED))
    first.append((f"   {money(job.cost_micros, job.cost_grade, 3)}", Role.TEXT))
    newest = detail.attempts[-1] if detail.attempts else None
    if newest and (told := _context(detail, newest, progress)):
        first.append((f"   context {told}", Role.MUTED))
    place = newest.workspace if newest else None
    second: list[Part] = [(f" {clean_line(place or job.project or 'a scratch directory of its own')}", Role.MUTED)]
    if newest and newest.branch:
        second += [("   branch ", Role.MUTED), (clean_line(newest.branch), Role.TEXT)]
    if detail.refused:
        second.append((f"   {plural(len(detail.refused), 'host')} refused", Role.WAIT))
    if detail.moves:
        second.append((f"   {move_text(detail.moves[-1])}", Role.WAIT))
    return [first, second, _notes(detail)]


def _context(detail: JobDetail, attempt: Attempt, progress: Progress | None) -> str | None:
    """How full its conversation is: as it runs, by its newest progress; else as it was left."""
    session = session_of(detail, attempt)
    if progress is not None and progress.attempt == attempt.id and progress.context_tokens:
        text = context_text(progress.context_tokens, progress.context_window)
    else:
        text = context_text(session.context_tokens, session.context_window) if session is not None else None
    count = len(session.compactions) if session is not None else 0
    return f"{text}, compacted {plural(count, 'time')}" if text and count else text


def session_of(detail: JobDetail, attempt: Attempt) -> Session | None:
    """The conversation that an attempt had."""
    return next((one for one in detail.sessions if one.id == attempt.session), None)


def _notes(detail: JobDetail) -> list[Part]:
    job = detail.job
    notes: list[Part] = [(" ", Role.TEXT)]
    if job.held_by:
        notes.append((f"held by {clean_line(job.held_by)}   ", Role.HELD))
    if job.failure:
        notes.append((f"{job.failure.replace('_', ' ')}   ", Role.FAILED))
    if job.reason:
        notes.append((clean_line(job.reason), Role.TEXT))
    elif detail.waiting:
        notes += [("waits: ", Role.WAIT), ("; ".join(clean_line(str(reason)) for reason in detail.waiting), Role.TEXT)]
    return notes


def attempt_entries(detail: JobDetail, now: int) -> list[Entry]:
    """Every attempt, newest first."""
    entries: list[Entry] = _moved(detail)
    if not detail.attempts:
        return [*entries, Entry((("No attempt yet.", Role.MUTED),))]
    for attempt in reversed(detail.attempts):
        entries += [*_attempt(attempt, now, session_of(detail, attempt)), Entry((("", Role.TEXT),))]
    return entries


def _attempt(attempt: Attempt, now: int, session: Session | None) -> list[Entry]:
    mark = RUNNING if attempt.ended_at is None else DONE if attempt.succeeded else FAILED
    started = attempt.started_at or attempt.created_at
    spent = [u.cost_micros for u in attempt.usage if u.cost_micros is not None]
    head: list[Part] = [
        (f"{mark.glyph} attempt {attempt.number}", mark.role),
        (f"   {clean_line(attempt.model or attempt.agent)}", Role.ACCENT),
        (f"   {moment(started)}, {age((attempt.ended_at or now) - started)}", Role.MUTED),
    ]
    if spent:
        head.append((f"   {money(sum(spent), digits=3)}", Role.TEXT))
    facts: list[tuple[str, str | None]] = [
        ("failure", attempt.failure and attempt.failure.replace("_", " ")),
        ("reason", attempt.reason),
        ("exit", None if attempt.exit_code is None else str(attempt.exit_code)),
        ("reported", attempt.report.line if attempt.report else None),
        ("machine", footprint_text(attempt)),
        ("may take", attempt.limits),
        ("session", session_text(attempt)),
        ("context", context_text(session.context_tokens, session.context_window) if session else None),
        ("compacted", compacted_text(session, attempt.id) if session else None),
        ("handed on", attempt.handoff),
        ("note", attempt.note),
        ("pid", None if attempt.pid is None or attempt.ended_at else str(attempt.pid)),
        ("workspace", attempt.workspace),
        ("branch", attempt.branch),
        ("run", attempt.run_dir or None),
        ("changed", _changed(attempt)),
        ("unread", plural(attempt.unknown_lines, "line") if attempt.unknown_lines else None),
        ("said", attempt.result),
    ]
    lines = [
        Entry(((f"  {name:<10}", Role.MUTED), (clean_line(text), Role.TEXT)), True, 12) for name, text in facts if text
    ]
    return [Entry(tuple(head)), *lines]


def _moved(detail: JobDetail) -> list[Entry]:
    """Where it went, the newest move first, and by which route."""
    route = [Entry((("route  ", Role.MUTED), (clean_line(detail.job.route), Role.TEXT)))] if detail.job.route else []
    moves = [
        Entry(((f"{moment(move.at)}  ", Role.MUTED), (move_text(move), Role.WAIT)), True, 2)
        for move in reversed(detail.moves)
    ]
    return [*route, *moves, *([Entry((("", Role.TEXT),))] if route or moves else [])]


def _changed(attempt: Attempt) -> str | None:
    if attempt.diff is None:
        return None
    return f"{plural(attempt.diff.files, 'file')} +{attempt.diff.added} −{attempt.diff.removed}"


def spec_entries(detail: JobDetail) -> list[Entry]:
    """What was asked: the settings that differ from the defaults, then the prompt."""
    spec = detail.spec
    given: list[tuple[str, str | None]] = [
        ("job", job_name(detail.job.id)),
        ("agent", spec.agent),
        ("model", spec.model),
        ("route", detail.job.route),
        ("project", spec.project),
        ("workspace", spec.workspace),
        ("priority", str(spec.priority)),
        ("not before", None if spec.not_before is None else str(spec.not_before)),
        ("submitted", moment(detail.job.created_at)),
    ]
    lines = [Entry(((f"{name:<12}", Role.MUTED), (clean_line(text), Role.TEXT))) for name, text in given if text]
    prompt = [Entry(((line, Role.TEXT),), True) for line in clean_lines(spec.prompt)]
    return [*lines, Entry((("", Role.TEXT),)), *prompt]
