"""What happens to attempts that run on other machines."""

from __future__ import annotations

from engine.events.body import Body


class Placed(Body, frozen=True, tag="placed"):
    """An attempt was given a node, before anything was started there."""

    node: str


ClusterBody = Placed
