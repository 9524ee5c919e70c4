"""How what is remembered is printed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from console.format import clean_line, clean_lines, moment, plural

if TYPE_CHECKING:
    from engine.memory.answers import (
        CorePart,
        Forgotten,
        ItemDetail,
        MemoryStatus,
        Part,
        Recalled,
        Written,
    )
    from engine.memory.item import Item
    from engine.memory.judgement import Terms

HEADS = ("NR", "KIND", "SCOPE", "STANDS", "SAID", "USES", "TEXT")
TERMS = (
    "NR", "SCORE", "RELEVANCE", "WORDS", "MEANING", "BESIDE", "MODULATION", "RECENCY", "IMPORTANCE", "TRUST",
    "STANDING", "WHY", "TEXT",
)  # fmt: skip


def cells(item: Item) -> tuple[str, ...]:
    """A row of a list."""
    from engine.memory.item import scope_name

    return (
        str(item.id), str(item.kind), clean_line(scope_name(item.scope)), stands(item), day(item.created_at),
        str(item.use_count or "-"), clean_line(item.text),
    )  # fmt: skip


def stands(item: Item) -> str:
    """Whether it holds, in a word."""
    from engine.clock import now_ms
    from engine.memory.item import Standing

    if item.standing is Standing.SUPERSEDED and item.superseded_by is not None:
        return f"superseded by {item.superseded_by}"
    if item.standing is not Standing.ACTIVE:
        return str(item.standing)
    now = now_ms()
    if item.valid_to is not None and item.valid_to <= now:
        return "expired"
    return "due" if item.verify_by is not None and item.verify_by <= now else "holds"


def day(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d}"


def item_lines(detail: ItemDetail) -> Iterator[str]:
    """Everything on one thing."""
    item, source = detail.item, detail.item.source
    yield f"{item.id}  {item.kind}, {stands(item)}"
    came = f"{source.by}" + (f", J{source.job}" if source.job is not None else "")
    facts = {
        "scope": clean_line(item.scope),
        "subject": item.subject and clean_line(item.subject),
        "tags": " ".join(item.tags),
        "said": moment(item.created_at),
        "changed": moment(item.updated_at),
        "expires": moment(item.valid_to) if item.valid_to else None,
        "verify by": moment(item.verify_by) if item.verify_by else None,
        "verified": f"{plural(item.verified_count, 'time')}, contradicted {item.contradicted_count}"
        if item.verified_count or item.contradicted_count
        else None,
        "weight": f"{item.importance:.2f}",
        "comes from": came + (f" attempt {source.attempt}" if source.attempt is not None else ""),
        "evidence": ", ".join(map(clean_line, source.evidence)),
        "part of": f"{clean_line(item.transcript)}, {item.position}" if item.transcript else None,
        "vector": f"{item.embed_model}, {item.embed_dim} numbers" if item.embed_model else "none yet",
        "replaces": ", ".join(map(str, detail.before)),
        "told to": ", ".join(detail.uses),
        "jobs": f"{item.helped} succeeded, {item.failed} failed" if item.helped or item.failed else None,
    }
    yield from (f"  {name:<10} {value}" for name, value in facts.items() if value)
    yield ""
    yield from (f"  {line}" for line in clean_lines(item.text))


def found_lines(recalled: Recalled) -> Iterator[str]:
    """What was found, the best first."""
    for one in recalled.parts:
        lines = clean_lines(one.item.text)
        yield f"{one.item.id:>5}  {one.score:.2f}  {lines[0]}"
        yield from (f"             {line}" for line in lines[1:4])
        mark = "" if stands(one.item) == "holds" else f"{stands(one.item)}; "
        yield f"             ({mark}{one.item.kind}, {day(one.item.confirmed_at)}; {clean_line(one.reason)})"


def term_cells(one: Part) -> tuple[str, ...]:
    """A row of `explain`: every term of the score."""
    terms: Terms = one.terms
    return (
        str(one.item.id), f"{terms.score:.3f}", f"{terms.relevance:.3f}", f"{terms.text:.2f}",
        "-" if terms.vector is None else f"{terms.vector:.2f}", f"{terms.neighbours:.2f}" if terms.neighbours else "-",
        f"{terms.modulation:.3f}", f"{terms.recency:.2f}", f"{terms.importance:.2f}", f"{terms.trust:.2f}",
        f"{terms.standing:.2f}", terms.why or "holds", clean_line(one.item.text),
    )  # fmt: skip


def written_line(one: Written, *, would: bool) -> str:
    what = f"{'would be ' if would else ''}{one.what}"
    number = "" if would and one.what == "added" else f"{one.item.id}  "
    gone = f", in the place of {', '.join(map(str, one.superseded))}" if one.superseded else ""
    return f"{number}{what}{gone}: {clean_line(one.item.text)[:120]}"


def forgotten_lines(done: Forgotten, *, would: bool) -> Iterator[str]:
    yield f"{'would forget' if would else 'forgot'} {plural(len(done.ids), 'thing')}"
    if done.told:
        yield f"  told to   {', '.join(done.told[:20])}{' and more' if len(done.told) > 20 else ''}"
        yield "            their run directories hold what they were told; `headway prune` removes those"
    if done.jobs:
        yield f"  from      {', '.join(f'J{job}' for job in done.jobs[:20])}: their record may hold the same words"
    if done.pending:
        yield "  pending   another program reads memory.db: its journal holds the text until that has ended"
    yield "  backups and exports that were made before hold it still"


def core_lines(part: CorePart) -> Iterator[str]:
    yield from clean_lines(part.text) if part.text else ()
    if part.cut:
        yield f"... {plural(part.cut, 'line')} more, past memory.core_lines: they are not told"


def status_lines(status: MemoryStatus) -> Iterator[str]:
    yield f"{plural(status.items, 'thing')} in {status.backend}, {status.bytes / 1e6:.1f} MB"
    if status.model is not None:
        left = status.items - status.embedded
        bare = f", {left:,} without one (not yet made, or not to be found)" if left else ""
        yield f"  vectors   {status.embedded:,} of {status.model}{bare}"
    elif status.items:
        yield "  vectors   none: things are found by their words alone"
    if status.without:
        yield f"  without   {status.without}"
    if status.moving is not None:
        yield f"  moving    to {status.moving}: `headway memory migrate --to {status.moving}` goes on with it"
    if status.problem:
        yield f"  damaged   {status.problem}"
