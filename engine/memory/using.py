"""What becomes of what was told: counted with its uses, and with how the jobs ended that were told it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from engine.memory.archive import Archive
from engine.memory.database import Use


def note_use(archive: Archive, items: Sequence[int], job: int, attempt: int, now: int) -> None:
    """Things were told to an attempt."""
    fresh = archive.ledger.used(Use(item, job, attempt, now) for item in items)
    there = archive.store.get(fresh).values()
    archive.store.put([replace(one, use_count=one.use_count + 1, last_used_at=now) for one in there])


def count_ends(archive: Archive, ended: Mapping[int, bool]) -> None:
    """Jobs have ended, well or not: what they were told helped, or did not."""
    for job, well in ended.items():
        told = {use.item for use in archive.ledger.open_uses(job)}
        there = archive.store.get(told).values()
        archive.store.put([replace(one, helped=one.helped + well, failed=one.failed + (not well)) for one in there])
        archive.ledger.count(job, "succeeded" if well else "failed")
