"""Counts what happens, for whoever watches the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from engine.events import Event, Failed, Requeued, Succeeded


class Tally:
    """What has happened since this engine started, by kind. Counts events as they are committed."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.endings: Counter[str] = Counter()
        """Of attempts: `succeeded`, or the class of the failure."""
        self.spans_dropped: Callable[[], int] | None = None
        """How many spans no collector has got, where they are sent to one."""

    def count(self, events: Iterable[Event]) -> None:
        for event in events:
            self.events[str(event.body.__struct_config__.tag)] += 1
            match event.body:
                case Succeeded():
                    self.endings["succeeded"] += 1
                case Failed(failure=failure) | Requeued(failure=failure):
                    self.endings[failure.value] += 1
                case _:
                    pass
