"""Taking merges out of the queue, and taking that back. Operations of the one writer."""

from __future__ import annotations

from engine.decision import Choice
from engine.errors import NotFoundError, RefusedError
from engine.model import MERGE_ENDED, Merge, MergeState
from engine.store import cards, merges
from engine.store.cards import Closing
from engine.store.merges import Stood
from engine.store.writer import Transaction


def drop(tx: Transaction, number: int, by: str) -> tuple[Merge, Stood]:
    """Take a merge out of the queue, and what to note of it for `undo`. Raises `RefusedError` where it is too late."""
    merge = merges.one(tx, number)
    if merge is None:
        raise NotFoundError(f"there is no merge {number}; `headway merges` lists them")
    if merge.state in MERGE_ENDED or merge.state is MergeState.LANDING:
        raise RefusedError(f"merge {number} is {merge.state}, and stays that")
    withdraw(tx, merge)
    merges.move(tx, merge, MergeState.DROPPED, by=by, why=f"{by} took it out of the queue")
    after = merges.one(tx, number)
    assert after is not None, "it was there a moment ago"
    return after, Stood(number, MergeState.DROPPED, MergeState.QUEUED)


def take_back(tx: Transaction, stood: Stood, by: str) -> str:
    """Let a merge stand as it did before an action, if it still stands as that left it. What came of it, to read."""
    now = merges.one(tx, stood.merge)
    if now is None:
        return f"merge {stood.merge} is gone"
    if stood.was is None and now.state in (MergeState.QUEUED, MergeState.CHECKING, MergeState.STUCK):
        withdraw(tx, now)
        merges.move(tx, now, MergeState.DROPPED, by=by, why="undo")
        return f"J{now.job} is not merged into {now.target}"
    if stood.was is None or now.state is not stood.now:
        return moved_on(now)
    merges.move(tx, now, MergeState.QUEUED, by=by, why="undo", candidate=None, card=None)
    return f"J{now.job} is in the queue for {now.target} again"


def moved_on(now: Merge | None) -> str:
    """Why a merge cannot stand as it did."""
    if now is None:
        return "its merge is gone"
    if now.state is MergeState.MERGED and now.candidate is not None:
        return (
            f"J{now.job} is on {now.target} and does not come back by itself: "
            f"`git revert {now.candidate[:12]}` makes a commit that takes it back"
        )
    return f"merge {now.id} has moved on since, and stays as it is: {now.state}"


def withdraw(tx: Transaction, merge: Merge) -> None:
    """Close its card: it is not asked any more."""
    card = cards.one(tx, merge.card) if merge.card is not None else None
    if card is not None and card.open:
        cards.close(tx, cards.job_of(tx, card), None, card.id, Closing(Choice.WITHDRAWN, "headway"))
