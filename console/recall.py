"""What is remembered, as rows and as texts; and of what was found, every term of its score. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from console.fields import Field
from console.format import age, clean_line, job_name, moment, plural
from console.roles import Part, Role
from console.telling import fact, heading, lines, prose
from console.transcript import Entry
from engine.memory.answers import CorePart, ItemDetail, MemoryStatus, Recalled
from engine.memory.answers import Part as Found
from engine.memory.item import Item, Standing, scope_name

#: What a pinned thing has as its importance: it is told before all that fits as well.
PINNED, PLAIN = 1.0, 0.5


@dataclass(frozen=True, slots=True)
class MemoryRow:
    """A thing that is remembered; where it was looked for, with its score."""

    item: Item
    found: Found | None = None

    @property
    def pinned(self) -> bool:
        return self.item.importance >= PINNED


_ROLES = {
    Standing.ACTIVE: Role.TEXT, Standing.PROPOSED: Role.YOU, Standing.SUPERSEDED: Role.OVER,
    Standing.RETRACTED: Role.OVER,
}  # fmt: skip


def sign(row: MemoryRow, now: int) -> Part:
    if row.item.standing is Standing.PROPOSED:
        return "!", Role.YOU
    if row.item.standing is not Standing.ACTIVE:
        return "⊘", Role.OVER
    return ("▸", Role.ACCENT) if row.pinned else (" ", Role.MUTED)


def stands(row: MemoryRow, now: int) -> str:
    """How it stands: its dates count too."""
    item = row.item
    if item.standing is Standing.ACTIVE and item.valid_to is not None and item.valid_to <= now:
        return "expired"
    if item.standing is Standing.ACTIVE and item.verify_by is not None and item.verify_by <= now:
        return "due"
    return "pinned" if row.pinned and item.standing is Standing.ACTIVE else str(item.standing)


FIELDS: tuple[Field[MemoryRow], ...] = (
    Field("ID", 5, lambda row, now: str(row.item.id), key=lambda row: row.item.id, to_right=True),
    Field("SCOPE", 14, lambda row, now: scope_name(row.item.scope)),
    Field("KIND", 10, lambda row, now: str(row.item.kind), drop=3),
    Field("SUBJECT", 18, lambda row, now: row.item.subject or "-", drop=4),
    Field("NOTE", 0, lambda row, now: row.item.text, role=lambda row, now: _ROLES[row.item.standing], least=30),
    Field("STANDS", 10, stands, role=lambda row, now: _ROLES[row.item.standing]),
    Field("USED", 4, lambda row, now: str(row.item.use_count or "-"), key=lambda row: row.item.use_count,
          to_right=True),
    Field("AGE", 6, lambda row, now: age(now - row.item.created_at, 5), key=lambda row: -row.item.created_at,
          to_right=True, drop=1),
    Field("SCORE", 5, lambda row, now: f"{row.found.score:.2f}" if row.found else "-",
          key=lambda row: row.found.score if row.found else None, to_right=True, drop=2),
)  # fmt: skip


def told(row: MemoryRow, now: int) -> list[Entry]:
    """A thing in full; of one that was found also why."""
    item = row.item
    found = [Entry(((f"{item.id}  {item.kind}", Role.HEADING), (f"   {clean_line(item.scope)}", Role.MUTED)))]
    found += prose(item.text)
    found += [Entry(())]
    found += fact("subject", item.subject)
    found += fact("stands", stands(row, now), _ROLES[item.standing])
    found += fact("tags", ", ".join(item.tags))
    job = f", {job_name(item.source.job)}" if item.source.job is not None else ""
    found += fact("said by", f"{item.source.by}{job}, {moment(item.created_at)}")
    found += fact("evidence", "; ".join(item.source.evidence))
    found += fact("importance", f"{item.importance:.2f}")
    used = f"told {plural(item.use_count, 'time')}, helped {item.helped}, failed {item.failed}"
    found += fact("used", used if item.use_count else "never told")
    found += fact("verified", plural(item.verified_count, "time") if item.verified_count else None)
    found += fact("doubted", plural(item.contradicted_count, "time") if item.contradicted_count else None, Role.WAIT)
    found += fact("verify by", moment(item.verify_by) if item.verify_by is not None else None)
    found += fact("holds to", moment(item.valid_to) if item.valid_to is not None else None)
    if row.found is not None:
        found += _terms(row.found)
    return found


def _terms(part: Found) -> list[Entry]:
    """Every term of a score, so that a person can follow it."""
    terms = part.terms
    vector = f"{terms.vector:.2f}" if terms.vector is not None else "- (only words were compared)"
    found = heading(f"score {terms.score:.3f}: relevance x modulation x standing")
    found += fact("relevance", f"{terms.relevance:.2f} of words {terms.text:.2f}, vector {vector}, neighbours "
                  f"{terms.neighbours:.2f}")  # fmt: skip
    found += fact("modulation", f"{terms.modulation:.2f} of recency {terms.recency:.2f}, importance "
                  f"{terms.importance:.2f}, trust {terms.trust:.2f}")  # fmt: skip
    found += fact("standing", f"{terms.standing:.2f}{f' ({terms.why})' if terms.why else ''}")
    found += fact("tokens", str(part.tokens))
    return found + fact("because", part.reason)


def told_whole(row: MemoryRow, detail: ItemDetail, now: int) -> list[Entry]:
    """With where it was told."""
    found = told(row, now)
    if detail.before:
        found += fact("instead of", ", ".join(map(str, detail.before)))
    if detail.uses:
        found += heading(f"told to {plural(len(detail.uses), 'attempt')}") + lines(detail.uses, Role.MUTED)
    return found


def core_entries(core: CorePart) -> list[Entry]:
    """A core file: what every job of its scope is told."""
    found = [Entry((("core", Role.HEADING), (f"   {clean_line(core.scope)}   {core.tokens} tokens", Role.MUTED)))]
    found += fact("file", core.path)
    found += fact(
        "cut", f"{plural(core.cut, 'line')} past the cap, which no job is told" if core.cut else None, Role.WAIT
    )
    return [*found, Entry(()), *(prose(core.text) if core.text.strip() else lines(["empty: E writes it"], Role.MUTED))]


def answer_parts(found: Recalled) -> list[Part]:
    """What a search came to, in a line."""
    without = f", without {found.without}" if found.without else ""
    return [(f"found {len(found.parts)}{without}", Role.WAIT if found.without else Role.MUTED)]


def status_text(status: MemoryStatus) -> str:
    """The index in a line."""
    said = (
        f"{plural(status.items, 'thing')}, {status.embedded} with vectors ({status.model or 'none'}), {status.backend}"
    )
    return f"{said}; moving to {status.moving}" if status.moving else said


def only(rows: Sequence[MemoryRow], standing: Standing) -> list[int]:
    return [row.item.id for row in rows if row.item.standing is standing]
