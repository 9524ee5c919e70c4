"""What an attempt takes of the machine, in words."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from console.footprint import footprint_text
from engine.model import Attempt, Footprint

BARE = Attempt(id=1, job=1, number=1, agent="claude", model=None, created_at=0)
OVER = replace(BARE, ended_at=1, memory_peak=300 << 20, cpu_ms=4_230, processes_peak=1)
LIVE = replace(BARE, memory_peak=300 << 20, cpu_ms=9, now=Footprint(memory=200 << 20, cpu_ms=754_000, processes=4))


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (BARE, None),
        (OVER, "300 MiB at most, 4.2 s of CPU, 1 process at most"),
        (LIVE, "200 MiB now, 300 MiB at most, 12m of CPU, 4 processes"),
        (replace(BARE, ended_at=1, cpu_ms=80), "0.1 s of CPU"),
    ],
)
def test_it_says_what_is_known(attempt: Attempt, text: str | None) -> None:
    assert footprint_text(attempt) == text
