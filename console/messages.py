"""What the app tells its screens. Bursts replace each other: only the newest of a kind waits in a queue."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from engine.events import Notified


@dataclass
class JobsChanged(Message):
    """Something happened to these jobs since the last beat."""

    ids: frozenset[int]
    reordered: bool
    """Membership or order of lists may have changed."""
    added: int
    """How many jobs are new."""

    bubble = False


@dataclass
class StatusChanged(Message):
    """The engine's counts, money or state changed, or the link to it did."""

    bubble = False

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, StatusChanged)


@dataclass
class Rings(Message):
    """The engine tells the consoles something: the terminal says it, whatever the screen shows."""

    told: tuple[Notified, ...]
    """What came since the last beat, the newest last."""

    bubble = False


@dataclass
class Resynced(Message):
    """The engine answers, at first or again."""

    missed: bool = True
    """Events may have been missed: everything on screen is to be read again. Else they all come."""

    bubble = False

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Resynced) and self.missed >= message.missed


@dataclass
class Pulse(Message):
    """One beat. Widgets write to the terminal on a beat or for a key, at no other time."""

    fast: bool
    """Widgets with the focus may refresh."""
    steady: bool
    """All widgets may refresh."""
    calm: bool
    """Widgets without the focus may refresh that change all the time: once a second."""
    second: bool
    """Ages and countdowns may have changed."""
    now: int
    """Milliseconds UTC."""

    bubble = False

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Pulse) and not message.second
