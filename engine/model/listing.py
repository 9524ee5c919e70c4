"""Lists of jobs: the words of the filter language, by what a list can be sorted, why a row waits."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from engine.model.reason import Reason

#: What a filter can ask for by name: equal, or a part of it.
FILTER_KEYS = (
    "state", "class", "agent", "model", "project", "title", "tag", "kind", "route", "triage", "batch", "schedule",
    "account", "target", "worker", "held", "key", "id",
)  # fmt: skip
#: What it compares.
FILTER_MEASURES = ("age", "cost", "tokens", "priority", "attempts")
FILTER_SHORT = {
    "st": "state", "repo": "project", "failure": "class", "prio": "priority", "p": "priority", "w": "worker",
}  # fmt: skip


class SortKey(StrEnum):
    """What a list can be sorted by."""

    QUEUE = "queue"
    """What runs, what waits in its order, what ended last."""
    ID = "id"
    PRIORITY = "priority"
    STATE = "state"
    """What needs the operator most comes first."""
    AGE = "age"
    COST = "cost"
    TOKENS = "tokens"
    ATTEMPTS = "attempts"
    TITLE = "title"
    AGENT = "agent"
    PROJECT = "project"


class Sort(Struct, frozen=True):
    """An order of jobs. What is largest, oldest, or newest of its kind comes first, unless it is turned around."""

    key: SortKey = SortKey.QUEUE
    reverse: bool = False

    @classmethod
    def parse(cls, text: str) -> Sort:
        """`cost`, or `-cost` the other way round. Raises `ValueError`."""
        return cls(SortKey(text.removeprefix("-") or SortKey.QUEUE), text.startswith("-"))

    def __str__(self) -> str:
        return f"-{self.key}" if self.reverse else str(self.key)


class Wait(Struct, frozen=True, omit_defaults=True):
    """Why one row of a list does not start: the first reason, and how many more there are."""

    job: int
    reason: Reason
    more: int = 0
