"""What headway.yaml says of what jobs are told, all of it together."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class ContextSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One budget for everything that a job is told beside its task."""

    tokens: Annotated[int, Meta(ge=0, le=1_000_000)] = 24_000
    """About. The persona, its rules, your notes and findings are told whole; what they leave goes to the hand-off, to
    skills and to what memory recalls, in this order, each within its own bound."""
