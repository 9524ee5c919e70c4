"""A job's work on its way to the branch of its project."""

from __future__ import annotations

from engine.events.body import Body
from engine.model import MergeState


class MergeEntered(Body, frozen=True, tag="merge_entered"):
    """A job's work was queued for a branch."""

    merge: int
    target: str
    by: str


class MergeMoved(Body, frozen=True, tag="merge_moved"):
    """A merge got on, met something, or came to its end."""

    merge: int
    state: MergeState
    by: str
    why: str = ""
    commit: str | None = None
    """What the branch is, or becomes."""


MergingBody = MergeEntered | MergeMoved
