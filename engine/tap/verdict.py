"""What the tap saw last, beside what an agent's own words came to. Pure."""

from __future__ import annotations

from dataclasses import replace

from engine.agents.base import Outcome
from engine.model import Failure
from engine.tap.reading import Refusal

#: Failures of which an agent did not say the cause, or not in a way that counts.
_UNTOLD = frozenset({Failure.UNKNOWN, Failure.STALLED, Failure.BAD_OUTPUT, None})


def with_refusal(outcome: Outcome, last: Refusal | None) -> Outcome:
    """The outcome of an attempt whose newest answer was that refusal; None where the provider served it."""
    if last is None or outcome.succeeded:
        return outcome
    if outcome.failure in _UNTOLD:
        why = f"{outcome.reason or 'it ended'}; its provider's last answer was {last.status}"
        return replace(outcome, failure=last.failure, reason=why, retry_at=last.retry_at)
    if outcome.failure is last.failure and outcome.retry_at is None:
        return replace(outcome, retry_at=last.retry_at)
    return outcome
