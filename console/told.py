"""What a job was told, what happened to it and what it cost, as lines. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from console.format import clean_line, clock, moment, money, number
from console.happenings import kind_of, words_of
from console.roles import Part, Role
from console.transcript import Entry
from engine.briefing import Briefing, Piece
from engine.events import Event
from engine.model import JobDetail

_PLACES = {
    "system": "at the end of its system prompt",
    "file": "in a file of its workspace",
    "prompt": "in the prompt",
}


def briefing_lines(found: Briefing, *, texts: bool) -> list[str]:
    """Each part of what an attempt was told: its size, where it stands, why it is there, and what was left out."""
    told = found.context
    when = f"attempt {found.attempt} was told" if found.attempt is not None else "its next attempt would be told now"
    lines = [f"J{found.job} on {found.target}: what {when}, {told.tokens:,} of {told.budget:,} tokens beside the task"]
    for piece in told.pieces:
        lines += ["", f"  {piece.part.replace('_', '-'):<9} {piece.tokens:>6}  {_place(piece)}"]
        lines.append(f"            {clean_line(piece.reason)}")
        for one in piece.details:
            score = f"  {one.score:.3f}" if one.score is not None else ""
            lines.append(f"            {one.tokens:>6}{score}  {clean_line(one.what)}: {clean_line(one.reason)}")
        if texts and piece.text:
            lines += [f"              | {clean_line(line)}" for line in piece.text.splitlines()]
    if not told.pieces:
        lines += ["", "  nothing but its task"]
    for omitted in told.left_out:
        size = f"{omitted.tokens:,} tokens, " if omitted.tokens else ""
        lines.append(f"  left out  {omitted.part}: {clean_line(omitted.what)}: {size}{clean_line(omitted.why)}")
    lines += [f"  without   {clean_line(one)}" for one in told.without]
    if found.run_dir:
        lines += ["", f"  word for word: {found.run_dir}/prompt"]
    return lines


def _place(piece: Piece) -> str:
    return f"{_PLACES[piece.place]}{f': {piece.where}' if piece.where else ''}"


def briefing_entries(found: Briefing) -> list[Entry]:
    """The same for the screen."""
    lines = briefing_lines(found, texts=True)
    return [Entry(((line, Role.TEXT if line.startswith("  ") else Role.HEADING),)) for line in lines]


def event_entries(events: Iterable[Event]) -> list[Entry]:
    """What happened to a job, the newest last."""
    found = []
    for event in events:
        kind, said = kind_of(event), words_of(event)
        parts: tuple[Part, ...] = ((f"{moment(event.at)[:19]}  ", Role.MUTED), (f"{kind:<12} ", Role.ACCENT))
        found.append(Entry((*parts, (said, Role.TEXT)), True, 34))
    return found


def cost_entries(detail: JobDetail) -> list[Entry]:
    """Tokens and money, attempt by attempt and model by model, with their sum."""
    job = detail.job
    total: tuple[Part, ...] = (
        ("in all   ", Role.MUTED),
        (money(job.cost_micros, job.cost_grade, 4), Role.HEADING),
        (f"   {number(job.input_tokens)} tokens in, {number(job.output_tokens)} out", Role.TEXT),
    )
    lines = [Entry(total), Entry((("", Role.TEXT),))]
    heads = f"{'ATTEMPT':<9}{'MODEL':<24}{'IN':>10}{'CACHED':>10}{'KEPT':>10}{'OUT':>10}{'COST':>12}"
    lines.append(Entry(((heads, Role.MUTED),)))
    for attempt in detail.attempts:
        when = clock(attempt.started_at or attempt.created_at)
        if not attempt.usage:
            lines.append(Entry(((f"{attempt.number:<9}{'nothing told':<24}", Role.MUTED),)))
        for use in attempt.usage:
            cells = f"{use.input_tokens:>10,}{use.cache_read_tokens:>10,}{use.cache_write_tokens:>10,}"
            cost = money(use.cost_micros, use.grade, 4)
            whose = f"{f'{attempt.number} {when}':<9}{clean_line(use.model)[:23]:<24}"
            lines.append(Entry(((f"{whose}{cells}{use.output_tokens:>10,}{cost:>12}", Role.TEXT),)))
    legend = "reported, * computed, ~ estimated, ? part of it unknown"
    return [*lines, Entry((("", Role.TEXT),)), Entry(((legend, Role.MUTED),))]
