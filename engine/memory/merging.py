"""Whether two texts say the same, and what becomes of one that says it again. Pure.

Vectors do not decide this: "the port is 8080" and "the port is 8081" are as near to each other as two texts can be.
Two texts are the same where their words are, in their order, or where one only adds a few; never where a number, a
name with digits or a negation is among what it adds.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from engine.memory.item import Item
from engine.memory.terms import STOP_WORDS, words_of

NEGATIONS = frozenset({"not", "no", "never", "without", "nor", "none", "except", "unless", "t"})  #: `t` of don't
ADDED = 5  #: one word in so many may be added to a text that is still the same
MOST_EVIDENCE = 20


def gist(text: str) -> list[str]:
    """The words that a text is about, in their order, without the s of a plural."""
    kept = [word for word in words_of(text) if word in NEGATIONS or word not in STOP_WORDS]
    return [word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in kept]


def same(one: str, other: str) -> bool:
    """Whether they say the same, so that one of them is enough."""
    first, second = gist(one), gist(other)
    return same_gist(first, second) if first or second else one.split() == other.split()


def same_gist(first: Sequence[str], second: Sequence[str]) -> bool:
    """The same of what `gist` makes of them."""
    shorter, longer = (first, second) if len(first) <= len(second) else (second, first)
    if shorter == longer:
        return True
    if not shorter or (len(longer) - len(shorter)) * ADDED > len(shorter):
        return False
    added = _added(shorter, longer)
    if added is None:
        return False
    return not any(word in NEGATIONS or any(sign.isdigit() for sign in word) for word in added)


def _added(shorter: Sequence[str], longer: Sequence[str]) -> list[str] | None:
    """What the longer one has beside the other, in whose order it is; None where it is not."""
    added, at = [], 0
    for word in longer:
        if at < len(shorter) and word == shorter[at]:
            at += 1
        else:
            added.append(word)
    return added if at == len(shorter) else None


def merged(kept: Item, again: Item, now: int) -> Item:
    """What is known, once it was said again: it is verified by that, and keeps where it comes from.

    Of two texts that say the same, the one that says more is kept.
    """
    told = f"J{again.source.job}" if again.source.job is not None else again.source.by
    evidence = dict.fromkeys([*kept.source.evidence, *again.source.evidence, f"said again by {told}"])
    return replace(
        kept,
        text=again.text if len(gist(again.text)) > len(gist(kept.text)) else kept.text,
        subject=kept.subject or again.subject,
        tags=list(dict.fromkeys([*kept.tags, *again.tags]))[:20],
        importance=max(kept.importance, again.importance),
        verified_count=kept.verified_count + 1,
        last_verified_at=max(now, kept.last_verified_at or 0),
        verify_by=again.verify_by if again.verify_by is not None else kept.verify_by,
        valid_to=again.valid_to if again.valid_to is not None else kept.valid_to,
        source=replace(kept.source, evidence=list(evidence)[:MOST_EVIDENCE]),
        updated_at=now,
    )
