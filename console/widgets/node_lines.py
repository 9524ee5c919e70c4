"""The machines of the cluster, one line each: what is taken of what they offer, their memory, when they were heard."""

from __future__ import annotations

from collections.abc import Sequence

from textual.strip import Strip
from textual.widget import Widget

from console.desk import Desk
from console.draw import draw
from console.format import age, clean_line, fit
from console.roles import Part, Role
from engine.model.node import Node, NodeState

MOST = 8  #: of more machines, the rest is counted: `headway nodes` shows them all
_ROLES = {
    NodeState.READY: Role.DONE,
    NodeState.DRAINED: Role.HELD,
    NodeState.MEETING: Role.MUTED,
    NodeState.AWAY: Role.FAILED,
}


class NodeLines(Widget):
    """As high as there are machines; not there without a cluster."""

    ALLOW_SELECT = False

    def __init__(self, desk: Desk) -> None:
        super().__init__(id="node-lines")
        self._desk = desk
        self.nodes: Sequence[Node] = ()
        self.display = False

    def take(self, nodes: Sequence[Node]) -> None:
        if nodes != self.nodes:
            self.nodes = nodes
            self.display = bool(nodes)
            self.styles.height = min(len(nodes), MOST + 1)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        desk = self._desk
        if y == MOST:
            parts: list[Part] = [(f"   and {len(self.nodes) - MOST} more: headway nodes", Role.MUTED)]
        else:
            parts = parts_of(self.nodes[y], desk.clock()) if y < len(self.nodes) else []
        return draw(desk.ink, parts, self.size.width, ascii=desk.ascii)


def parts_of(one: Node, now: int) -> list[Part]:
    """One machine, what matters most first: 80 columns do not hold all of it. `now` is milliseconds UTC."""
    offers = "  ".join(f"{name} {one.taken.get(name, 0):g}/{count:g}" for name, count in one.offers.items())
    memory = f"{one.memory_free / (1 << 30):.1f} GiB free" if one.memory else ""
    seen = f"{age(max(0, now - one.last_seen))} ago" if one.last_seen else "never heard"
    work = f"{len(one.running)} at work"
    told = "  ".join(filter(None, (work, seen, clean_line(one.trouble), memory, offers)))
    return [
        (f" {fit(clean_line(one.name), 14)} ", Role.HEADING),
        (f"{fit(str(one.state), 8)} ", _ROLES[one.state]),
        (told, Role.MUTED),
    ]
