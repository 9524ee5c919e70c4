"""Which nodes of a cluster an attempt could run on. Pure.

This admits: what a node offers, less what its attempts have taken. Where an attempt then runs is for the cluster to
say, which sees its nodes as they are at that moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from engine.config import Settings
from engine.config.cluster import WishSettings
from engine.model import Target
from engine.units import size

MEMORY = "memory"
HELD = "node:"  #: what the scope of a hold on a node begins with
DRAINED = "is drained"
_ROUNDING = 1e-9  #: of sums of fractions


@dataclass(frozen=True, slots=True)
class Wish:
    """What an attempt takes of a node, and what labels that has to have. Memory is one of the resources, in bytes."""

    resources: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Room:
    """A node as far as starting an attempt on it depends on it."""

    offers: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)
    taken: Mapping[str, float] = field(default_factory=dict)
    closed: str = ""
    """Why it takes no attempts; empty where it does."""

    def has(self, wish: Wish) -> bool:
        """Whether the wish fits into what is left."""
        return not self.closed and self.could(wish) and all(
            self.taken.get(name, 0.0) + count <= self.offers[name] + _ROUNDING
            for name, count in wish.resources.items()
        )  # fmt: skip

    def could(self, wish: Wish) -> bool:
        """Whether it would fit, were the node empty and open."""
        return all(self.labels.get(name) == value for name, value in wish.labels.items()) and all(
            count <= self.offers.get(name, 0.0) + _ROUNDING for name, count in wish.resources.items()
        )

    def with_one(self, wish: Wish, sign: int = 1) -> Room:
        taken = dict(self.taken)
        for name, count in wish.resources.items():
            taken[name] = max(0.0, taken.get(name, 0.0) + sign * count)
        return replace(self, taken=taken)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the settings say of targets. Of several words that of the whole target counts, then its account's, its
    model's, its agent's.
    """

    said: Mapping[str, WishSettings] = field(default_factory=dict)
    usual: Mapping[str, int] = field(default_factory=dict)
    """Bytes that an attempt of an agent usually takes."""

    @classmethod
    def of(cls, settings: Settings, usual: Mapping[str, int]) -> Wishes:
        return cls(settings.cluster.targets if settings.cluster is not None else {}, usual)

    def wish(self, target: Target) -> Wish | None:
        """What an attempt of a target takes of a node; None for one that stays on the engine's own machine."""
        agent, model, account = target.agent, target.model, target.account
        named = (target, Target(agent, None, account), Target(agent, model, None), Target(agent, None, None))
        said = next((self.said[str(one)] for one in named if str(one) in self.said), None)
        if said is None:
            return None
        memory = size(said.memory) if said.memory is not None else self.usual.get(agent, 0)
        return Wish({**said.resources, **({MEMORY: float(memory)} if memory else {})}, said.labels)


@dataclass(slots=True)
class Nodes:
    """The nodes at one moment. The dispatcher and the forecast move it on."""

    wishes: Wishes = field(default_factory=Wishes)
    rooms: dict[str, Room] = field(default_factory=dict)

    def close(self, holds: Mapping[str, str]) -> None:
        """Take note of the nodes that the operator has drained. `holds`: by scope, who holds it."""
        for name, room in self.rooms.items():
            if f"{HELD}{name}" in holds:
                self.rooms[name] = replace(room, closed=DRAINED)

    def reaches(self, node: str) -> bool:
        """Whether a node takes attempts now."""
        return (room := self.rooms.get(node)) is not None and not room.closed

    def takes(self, target: Target) -> bool:
        """Whether attempts of a target go to nodes."""
        return bool(self.wishes.said) and self.wishes.wish(target) is not None

    def obstacle(self, target: Target) -> str | None:
        """Why no attempt of a target can start on a node now; None where one can, or where it does not go to one."""
        wish = self.wishes.wish(target)
        if wish is None or any(room.has(wish) for room in self.rooms.values()):
            return None
        if not self.rooms:
            return "no node of the cluster is here"
        if not any(room.could(wish) for room in self.rooms.values()):
            return f"no node of the cluster offers {_words(wish)}"
        closed = [f"{name} {room.closed}" for name, room in self.rooms.items() if room.closed and room.could(wish)]
        busy = "no node has room for one more" if len(closed) < len(self.rooms) else "no node takes attempts"
        return f"{busy} ({', '.join(closed)})" if closed else busy

    def start(self, target: Target) -> None:
        """One more attempt of a target runs, on a node with room for it."""
        wish = self.wishes.wish(target)
        name = next((name for name, room in self.rooms.items() if wish is not None and room.has(wish)), None)
        if wish is not None and name is not None:
            self.rooms[name] = self.rooms[name].with_one(wish)

    def end(self, target: Target) -> None:
        """One has ended, on a node that has such."""
        wish = self.wishes.wish(target)
        if wish is None:
            return
        for name, room in self.rooms.items():
            if room.could(wish) and all(room.taken.get(one, 0.0) >= count for one, count in wish.resources.items()):
                self.rooms[name] = room.with_one(wish, -1)
                return

    def copy(self) -> Nodes:
        return Nodes(self.wishes, dict(self.rooms))


def _words(wish: Wish) -> str:
    counted = [f"{name} {count:g}" for name, count in wish.resources.items() if name != MEMORY]
    memory = [f"{wish.resources[MEMORY] / (1 << 20):.0f} MiB of memory"] if MEMORY in wish.resources else []
    labelled = [f"{name}={value}" for name, value in wish.labels.items()]
    return ", ".join([*counted, *memory, *labelled]) or "anything"
