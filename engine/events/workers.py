"""What happens to persistent workers. That one is paused is a hold on its scope."""

from __future__ import annotations

from engine.events.body import Body
from engine.worker import Kept


class WorkerSet(Body, frozen=True, tag="worker_set"):
    """A worker was added, changed or, where `kept` is None, removed."""

    by: str
    name: str
    kept: Kept | None = None


WorkerBody = WorkerSet
