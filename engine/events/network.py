"""What agents in a sandbox wanted of the network and did not get."""

from __future__ import annotations

from engine.events.body import Body


class NetworkRefused(Body, frozen=True, tag="network_refused"):
    """A host was asked for that the sandbox does not let be reached. The first time of each in an attempt."""

    host: str
    port: int
    why: str


NetworkBody = NetworkRefused
