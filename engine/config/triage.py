"""What headway.yaml says of triage: which class a new job is of, and what follows from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, field

from engine.config.routes import words
from engine.documents import Complaint, nearest
from engine.model import PRIORITY_DEFAULT, Target, Triage
from engine.units import milliseconds

if TYPE_CHECKING:
    from engine.config.settings import Settings

#: A time of day, as `22:00-06:00`.
SPAN_OF_DAY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)")

ASKED = ("llm", "rehearsal")  #: agents that can be asked for a class: they have no effects, or only made-up ones

Level = Annotated[int, Meta(ge=0, le=9)]


class Clarify(StrEnum):
    """What becomes of a job that does not say enough."""

    NOTE = "note"
    """It runs; its class says so."""
    ASK = "ask"
    """It is held, and a card asks the operator."""


class TriageSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The rules cost nothing and are on; all else is off until it is said here."""

    rules: bool = True
    """Jobs for agents of a provider are classed by the rules."""
    clarify: Clarify = Clarify.NOTE
    priorities: dict[str, Level] = field(default_factory=dict)
    """The priority of a class, for jobs that are submitted with the usual one."""
    off_peak: str | None = None
    """`22:00-06:00`, this machine's time: a job of the class `defer` that names no time waits for it."""
    model: str | None = None
    """A target of the agent `llm`, such as `llm:anthropic/claude-haiku-4-5`, asked where the rules are not sure."""
    timeout: str | int = "30s"
    """So long a job waits for what the model says; then it starts without a class."""
    daily: Annotated[float, Meta(ge=0, le=10_000)] = 0.25
    """Dollars that may be spent on such questions in a day, UTC."""
    questions: Annotated[int, Meta(ge=0, le=100_000)] = 200
    """Questions in a day, whatever they cost."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What follows from a class for one job."""

    priority: int | None = None
    """Another one than the usual."""
    not_before: int | None = None
    """When it may start, milliseconds UTC."""
    ask: bool = False
    """The operator is asked first."""


def placement(settings: TriageSettings, triage: str, priority: int, now: int, *, timed: bool) -> Placement:
    """What follows from a class, where the submitter has not said otherwise. `timed`: it waits for a time already."""
    later = triage == Triage.DEFER and settings.off_peak is not None and not timed
    return Placement(
        settings.priorities.get(triage) if priority == PRIORITY_DEFAULT else None,
        off_peak(settings.off_peak or "", now) if later else None,
        triage == Triage.CLARIFY and settings.clarify is Clarify.ASK,
    )


def complaints(settings: Settings) -> Iterator[Complaint]:
    """What is wrong beyond the types."""
    triage = settings.triage
    if triage.off_peak is not None and SPAN_OF_DAY.fullmatch(triage.off_peak.strip()) is None:
        yield ("triage", "off_peak"), f"{triage.off_peak!r} is no time of day; write 22:00-06:00"
    if triage.model is not None:
        target = Target.parse(triage.model)
        if target.agent not in ASKED or (target.agent == "llm" and "/" not in (target.model or "")):
            wrong = f"{triage.model!r} is no model of the agent llm; write llm:anthropic/claude-haiku-4-5"
            yield ("triage", "model"), wrong
        elif target.account is not None and target.account not in settings.accounts:
            yield ("triage", "model"), f"there is no account {target.account!r} under accounts:"
    try:
        if not milliseconds(triage.timeout):
            yield ("triage", "timeout"), "it is 0, so that nothing could be said in it"
    except ValueError as error:
        yield ("triage", "timeout"), str(error)
    matched = {name for route in settings.routes.values() for one in route.matches for name in words(one.class_)}
    for name in triage.priorities:
        if name not in {*Triage, *matched}:
            wrong = f"there is no class {name!r}, and no route matches it; {nearest(name, [*Triage, *sorted(matched)])}"
            yield ("triage", "priorities", name), wrong


def off_peak(span: str, now: int) -> int | None:
    """When a time of day begins next, milliseconds UTC; None where it is that time. Follows this machine's zone."""
    found = SPAN_OF_DAY.fullmatch(span.strip())
    if found is None:
        return None
    first, last = (int(found[1]), int(found[2])), (int(found[3]), int(found[4]))
    here = datetime.fromtimestamp(now / 1000)
    clock = (here.hour, here.minute)
    inside = first <= clock < last if first <= last else clock >= first or clock < last
    if inside or first == last:
        return None
    begins = here.replace(hour=first[0], minute=first[1], second=0, microsecond=0)
    if begins <= here:
        begins = (begins + timedelta(days=1)).replace(hour=first[0], minute=first[1])
    return int(begins.timestamp() * 1000)
