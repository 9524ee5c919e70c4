"""What a job's agent said at its end, whole: the database keeps only its beginning."""

from __future__ import annotations

import asyncio
from pathlib import Path

from engine.runner.run_dir import run_dir
from engine.store import Store


async def last_words(store: Store, home: Path, job: int) -> str:
    """Of the newest attempt; empty where there was none, or it said nothing."""
    attempts = await store.read.attempts(job)
    if not attempts:
        return ""
    if (file := run_dir(home, job, attempts[-1].number).answer) is not None:
        return await asyncio.to_thread(file.read_text, encoding="utf-8", errors="replace")
    return attempts[-1].result or ""
