"""What a job's agent said at its end, whole: the database keeps only its beginning."""

from __future__ import annotations

import asyncio
from pathlib import Path

from engine.runner.run_dir import read_regular, run_dir
from engine.store import Store

ANSWER_BYTES = 4 << 20  #: of one; what a model may answer at once is a tenth of it


async def last_words(store: Store, home: Path, job: int) -> str:
    """Of the newest attempt; empty where there was none, or it said nothing."""
    attempts = await store.read.attempts(job)
    if not attempts:
        return ""
    if (file := run_dir(home, job, attempts[-1].number).answer) is not None:
        said = await asyncio.to_thread(read_regular, file, ANSWER_BYTES)
        return (said or b"").decode(errors="replace")
    return attempts[-1].result or ""
