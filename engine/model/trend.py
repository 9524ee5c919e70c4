"""What happened of late, in steps of the same length: what a sparkline is drawn from."""

from __future__ import annotations

from msgspec import Struct, field


class Trend(Struct, frozen=True, kw_only=True):
    """A stretch of time up to now. Every list has a value for each step, the oldest first."""

    since: int
    """Milliseconds UTC."""
    step: int
    """Milliseconds."""
    done: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    cost_micros: list[int] = field(default_factory=list)
    """Micro-dollars that are known."""
    tokens: list[int] = field(default_factory=list)
    depth: list[int] = field(default_factory=list)
    """Jobs that had not ended at the end of each step, by what is known of the jobs that are here now."""
    whole: bool = True
    """False where more happened than is looked at: then the oldest steps say too little."""
