"""How targets do at each kind of job."""

from __future__ import annotations

from msgspec import Struct, field


class Share(Struct, frozen=True):
    """So many of so many, with the interval in which the true share lies 19 times of 20 (Wilson)."""

    count: int
    of: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.count / self.of if self.of else 0.0


class Typical(Struct, frozen=True):
    """A median, as a log-normal distribution has it, with its interval at 95 %. None where one sample tells none."""

    samples: int
    value: int
    low: int | None = None
    high: int | None = None


class ScoreLine(Struct, frozen=True, kw_only=True):
    """A target at a kind of job."""

    target: str
    kind: str | None
    jobs: int
    """Ended jobs in which it had at least one round."""
    first: Share | None
    """Right at first, of the jobs that it began: one round, and nothing came after it. None where it began none."""
    gated: int
    """Of those it began, so many were held against checks; of the others success is what the agent said."""
    succeeded: Share
    """Of its jobs, those that it brought to a good end."""
    rounds: float
    """A job, on average: attempts that ended with a verdict on the work. Waits for a limit are none."""
    took: Typical | None
    """Milliseconds that its attempts at a job ran, where it brought the job to a good end."""
    cost: Typical | None
    """Micro-dollars of them, likewise."""
    spent_micros: int = 0
    """All that its attempts at these jobs cost, as far as is known."""
    unpriced: int = 0
    """Jobs of which no cost is known."""
    follow_ups: int = 0
    """Retries, edits, reroutes and takeovers by the operator, after it had begun."""
    races: int = 0
    wins: int = 0


class Scoreboard(Struct, frozen=True, kw_only=True):
    """All lines, the busiest first. `waiting`: ended jobs that are not counted yet."""

    lines: list[ScoreLine] = field(default_factory=list)
    waiting: int = 0


class Compared(Struct, frozen=True, kw_only=True):
    """One target at a kind that others have done too."""

    line: ScoreLine
    words: dict[str, str] = field(default_factory=dict)
    """Measure -> `best` or `worst`: only where its interval lies apart from that of each other target."""


class Comparison(Struct, frozen=True, kw_only=True):
    """A kind of job, and those of the targets that have done it."""

    kind: str | None
    targets: list[Compared]
