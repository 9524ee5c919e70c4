"""What headway.yaml says of money: prices of its own, and when its books are held to be wrong."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

PerMillion = Annotated[float, Meta(ge=0, le=1_000_000)]  #: dollars for a million tokens


class PriceSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a model costs, in dollars for a million tokens. It comes before the price table."""

    input: PerMillion
    output: PerMillion
    cache_read: PerMillion | None = None
    """What comes from the cache; unset, it costs what fresh input does."""
    cache_write: PerMillion | None = None
    """What goes to the cache; likewise."""
    cache_write_1h: PerMillion | None = None
    """What goes there for an hour; unset, as `cache_write`."""


class SpendSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the ledger is watched."""

    alarm: Annotated[float, Meta(ge=0, le=100)] = 1.0
    """Per cent by which another book may differ from the ledger before that is a finding."""
    usual: Annotated[float, Meta(ge=0, le=1_000)] = 3.0
    """A job without a budget has one of so many times the median of its kind; 0 is none."""
    usual_from: Annotated[int, Meta(ge=1, le=1_000)] = 10
    """Not before so many jobs of the kind have succeeded."""
