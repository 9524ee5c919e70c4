"""What all faults are made of: the steps of a scenario, and the card that is drawn up when its jobs have ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from console.fire.card import Card, twice
from console.fire.stage import NoEndError, Stage
from engine.events import Event

SECOND = 1_000.0  #: milliseconds, as scenarios count


def think(seconds: float) -> dict[str, object]:
    """Work for so long."""
    return {"do": "think", "text": "working", "pause": seconds * SECOND}


def fail(kind: str, **more: object) -> dict[str, object]:
    """End with a failure of this kind."""
    return {"do": "fail", "kind": kind, **more}


def kind_is(*tags: str) -> Callable[[Event], bool]:
    """Whether an event is one of these."""
    return lambda event: event.body.__struct_config__.tag in tags


@dataclass(slots=True)
class Seen:
    """The moments of one fault, by the monotonic clock."""

    put_in: float
    detected: float
    by: str
    jobs: Sequence[int]


async def settle(one: Stage, fault: str, seen: Seen, trouble: str = "") -> Card:
    """Wait for the jobs, and draw up the card."""
    recovered: int | None = None
    try:
        recovered = round(1000 * (await one.until_ended(seen.jobs) - seen.put_in))
    except NoEndError as error:
        trouble = trouble or error.message
    return Card(
        fault=fault,
        jobs=len(seen.jobs),
        detected=round(1000 * (seen.detected - seen.put_in)),
        by=seen.by,
        recovered=recovered,
        lost=await one.lost(seen.jobs),
        twice=twice(one.marks.read_text()) if one.marks.exists() else 0,
        trouble=trouble,
    )
