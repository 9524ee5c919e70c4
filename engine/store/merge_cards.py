"""What is asked of the operator when work cannot come to its branch, and the answers. Operations of the one writer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from engine.decision import ARGUMENTS_LIMIT, Card, CardKind, Choice, Reply
from engine.errors import RefusedError
from engine.model import CheckResult, Conflict, Merge, MergeState
from engine.store import merge_undo, merges
from engine.store.actions import Inverse
from engine.store.answering import Answering, Applied, Kind, raise_card
from engine.store.cards import Asking, Closing, Due
from engine.store.clarify import NO_ATTEMPT
from engine.store.decisions import WORDS
from engine.store.rows import JobRow, read_job
from engine.store.writer import Transaction

TOOL = "merge"
SHOWN = 10  #: files in conflict, or checks that failed, on a card

_AFTER = {
    Choice.BACK: MergeState.RETURNING,
    Choice.RETRY: MergeState.QUEUED,
    Choice.DROP: MergeState.DROPPED,
    Choice.LEAVE: MergeState.LEFT,
}


def stick(tx: Transaction, before: Merge, why: str, **found: Any) -> bool:
    """It cannot go on by itself: ask, and let the others go past it. False where it has moved on meanwhile."""
    now, row = merges.one(tx, before.id), read_job(tx.connection, before.job)
    if now is None or (now.state, now.candidate, now.card) != (before.state, before.candidate, before.card):
        return False
    if row is None:
        return merges.move(tx, before, MergeState.LEFT, why=f"{why}; its job was pruned, so that nobody can be asked")
    conflicts, results = found.get("conflicts", ()), found.get("results", ())
    asking = Asking(
        request=f"merge {before.id} {tx.newest('events')}",
        kind=CardKind.MERGE,
        tool=TOOL,
        subject="",
        shell=False,
        summary=f"J{row.id} into {before.target}: {why}",
        arguments=_arguments(before, conflicts, results),
        why=_what_follows(before),
    )
    card = raise_card(tx, row, NO_ATTEMPT, asking, Due(None, Choice.LEAVE), holds=False).card
    return merges.move(tx, before, MergeState.STUCK, why=why, card=card, **found)


@dataclass(frozen=True)
class MergeCards(Kind):
    """It goes back to its writer, or is tried again, dropped, or left to the operator."""

    converse: frozenset[str]
    """Agents that can be told words."""

    def closing(self, it: Answering) -> Closing:
        if it.reply.choice is Choice.BACK and it.row.agent not in self.converse:
            nobody = f"J{it.card.job} is a command, and nobody who could be told"
            raise RefusedError(f"{nobody}: mend it in its worktree, then retry")
        return super().closing(it)

    def samples(self, card: Card) -> list[Reply]:
        return [Reply(choice=one, reason=WORDS if one is Choice.BACK else None) for one in card.choices]

    def stale(self, tx: Transaction, card: Card, row: JobRow) -> str:
        return "" if _merge_of(tx, card) is not None else "its merge has moved on"

    def apply(self, it: Answering, closing: Closing) -> Applied:
        merge = _merge_of(it.tx, it.card)
        if merge is None:
            raise RefusedError(f"card {it.card.id} is about a merge that has moved on")
        to, why = _AFTER[closing.choice], (closing.reason or "").strip()
        merges.move(it.tx, merge, to, by=it.by, why=why, card=None if to is MergeState.QUEUED else it.card.id)
        row = read_job(it.tx.connection, it.row.id) or it.row
        return Applied(row, Inverse(note=f"{merge.id} {to}"), said=f"its merge into {merge.target} is {to}")

    def take_back(self, tx: Transaction, card: Card, row: JobRow, note: str, by: str) -> str:
        number, _, state = note.partition(" ")
        now = merges.one(tx, int(number)) if number.isdecimal() else None
        if now is None or now.state != state:
            return merge_undo.moved_on(now)
        merges.move(tx, now, MergeState.STUCK, by=by, why=card.summary.partition(": ")[2], card=card.id)
        return ""


def _merge_of(tx: Transaction, card: Card) -> Merge | None:
    """The merge that a card is about, while it is."""
    stuck = (one for one in merges.of_job(tx, card.job) if one.state is MergeState.STUCK)
    return next((one for one in stuck if one.card == card.id), None)


def _arguments(merge: Merge, conflicts: Sequence[Conflict], results: Sequence[CheckResult]) -> str:
    """What is in the way, as far as a card has room: both sides of a conflict, the end of what a check printed."""
    told = [(f"{one.file} ({one.what})", one.hunks or "one side has no text there", False) for one in conflicts]
    told += [(f"{one.command}: {one.word}", one.output, True) for one in results if not one.passed]
    more = {"more": f"{len(told) - SHOWN} more"} if len(told) > SHOWN else {}
    if conflicts:
        more["sides"] = f"above the ======= stands {merge.target}, below it J{merge.job}"
    room = ARGUMENTS_LIMIT
    while True:
        shown = {name[:200]: _cut(text, room, end=end) for name, text, end in told[:SHOWN]}
        if len(written := msgspec.json.encode({**shown, **more}).decode()) <= ARGUMENTS_LIMIT:
            return written
        room //= 2


def _cut(text: str, room: int, *, end: bool) -> str:
    if len(text) <= room:
        return text
    return f"[...]\n{text[-room:]}" if end and room else f"{text[:room]}\n[...]"


def _what_follows(merge: Merge) -> str:
    return (
        f"back: the writer of J{merge.job} mends it in its session, and it is queued again; retry: once more as it is; "
        "drop: not merged, its branch stays; leave: you do it by hand"
    )
