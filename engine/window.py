"""Windows: the rate limits of an account, what its agents tell of them, and what is believed now.

`Reading` is one signal, as somebody saw it; anybody who sees one hands it to `engine.store.windows.record`. `Window` is
what all readings of one limit came to. The decisions on them are in `engine.dispatch.windows`.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

UNNAMED = "unnamed"  #: a limit that was met, and whose name nobody told


class Standing(StrEnum):
    """How a window stands."""

    OPEN = "open"
    WARNING = "warning"
    """It serves, and is nearly used up."""
    CLOSED = "closed"
    UNKNOWN = "unknown"
    """Nothing is known of its present: no reading, or one of a period that is over."""


class Reading(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one signal told of one window. Nothing in it has to be sensible: what is not is left out of account."""

    window: str
    """`five_hour`, `seven_day`, `seven_day_opus`, `requests`, `tokens`, `requests_per_day`, ..."""
    standing: Standing
    at: int
    """When it was seen, by this machine's clock: milliseconds UTC."""
    source: str
    """Which signal of which agent, in words, such as `claude rate_limit_event`."""
    used: float | None = None
    """Share of the window, 0 to 1."""
    resets_at: int | None = None
    """Milliseconds UTC, as told."""
    resets_in: int | None = None
    """Milliseconds from `at`, where that is what was told: then no clock but this machine's counts."""
    length: int | None = None
    """Milliseconds that the window spans, where the signal tells."""
    model: str = ""
    """The model, or family of models, that it is a limit of; empty for all of the account."""
    asked: str | None = None
    """The model that the one who saw it had asked for; empty for the agent's own, None where that is not known."""


class Window(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is believed of one window of an account. Times are milliseconds UTC."""

    account: str
    """As `claude@work`."""
    name: str
    model: str = ""
    met: tuple[str, ...] = ()
    """Models as targets name them whose attempts have met it, where it is a limit of some models."""
    length: int | None = None
    serving: Reading | None = None
    """The newest that said that it serves."""
    closed: Reading | None = None
    """The newest that said that it does not."""
    until: int | None = None
    """Nothing goes before: the told end, bounded, with its jitter."""
    since: int | None = None
    """When it was seen closed first, without a sign that it serves since."""
    closures: int = 0
    """How many probes in a row have found it still closed."""
    allowed: int | None = None
    """From `until` on: how many attempts begun since then may run. None where nothing is limited."""
    stepped_at: int | None = None
    """When `allowed` last grew."""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.account, self.name, self.model

    @property
    def title(self) -> str:
        return f"{self.name} ({self.model})" if self.model else self.name


class WindowState(Struct, frozen=True, kw_only=True):
    """One window as it is shown: the belief at a moment, and who waits for it."""

    account: str
    window: str
    model: str
    standing: Standing
    used: float | None
    resets_at: int | None
    until: int | None
    """Nothing starts before; None where it is not closed."""
    source: str
    observed_at: int
    length: int | None
    waiting: int
    """Jobs that could start otherwise; at most 10,000 are counted."""
    probing: int | None = None
    """After a reset: how many attempts may go at once until it is known to serve."""
