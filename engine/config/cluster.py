"""What headway.yaml says of further machines: the cluster that they form, and what is done on them."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, field

from engine.config import checks
from engine.documents import Complaint, nearest
from engine.model import Target

if TYPE_CHECKING:
    from engine.config.settings import Settings

#: Of the resources that Ray counts by itself, `memory` has a key of its own.
_OWN_KEY = "memory"


class WishSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an attempt of a target takes of a node while it runs."""

    resources: dict[str, Annotated[float, Meta(gt=0, le=1_000_000)]] = field(default_factory=dict)
    """As nodes offer them when they join: `claude: 1`. Fractions are allowed below 1."""
    memory: str | int | None = None
    """Of the node's, kept for it. Without a word, what attempts of the agent usually take."""
    labels: dict[str, str] = field(default_factory=dict)
    """That the node has to have: `region: eu`, `account: work`."""


class TlsSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Files in PEM with which the machines of the cluster know each other, and nobody else is let in."""

    cert: str
    key: str
    ca: str


class ClusterSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The cluster, and which targets go to its nodes."""

    address: str | None = None
    """Of a head that runs already: HOST:PORT."""
    start: bool = False
    """Start a head on this machine, and let it run when the engine ends."""
    host: str = "127.0.0.1"
    """An address of this machine that the nodes can reach. Ray listens on the others as well, also beside 127.0.0.1."""
    port: Annotated[int, Meta(ge=1, le=65_535)] = 6379
    token_file: str | None = None
    """What lets a machine in. Without a word, one that is made in the home for a head that is started here."""
    tls: TlsSettings | None = None
    targets: dict[str, WishSettings] = field(default_factory=dict)
    """What goes to the nodes, as `claude`, `claude:opus` or `claude@work`; everything else stays on this machine."""
    lost_after: str | int = "2m"
    """A node that is out of reach for so long is given up, and what ran there begins anew elsewhere."""
    home: str = "~/.local/state/headway-node"
    """On each node: where it keeps the workspaces and files of what runs there."""


def complaints(settings: Settings, agents: Collection[str]) -> Iterator[Complaint]:
    """What is wrong with the cluster."""
    said = settings.cluster
    if said is None:
        return
    if (said.address is None) == (not said.start):
        yield ("cluster",), "name the address of its head, or say start: true; one of the two"
    if said.address is not None and not _is_address(said.address):
        yield ("cluster", "address"), "it is HOST:PORT, as `ray start --head` prints it"
    if said.start and said.tls is None and not _is_loopback(said.host):
        yield ("cluster", "host"), "a head that other machines can reach needs tls: with cert, key and ca"
    for key, path in (("token_file", said.token_file), ("home", said.home)):
        if path is not None and not checks.is_whole(path):
            yield ("cluster", key), "it has to be an absolute path, or begin with ~"
    if said.tls is not None:
        for key in ("cert", "key", "ca"):
            if not checks.is_whole(getattr(said.tls, key)):
                yield ("cluster", "tls", key), "it has to be an absolute path, or begin with ~"
    for name, wish in said.targets.items():
        agent = Target.parse(name).agent
        if agent not in agents:
            yield ("cluster", "targets", name), f"there is no agent {agent!r}; {nearest(agent, agents)}"
        if _OWN_KEY in wish.resources:
            yield ("cluster", "targets", name, "resources", _OWN_KEY), "memory has a key of its own, beside resources"
        yield from (
            (("cluster", "targets", name, "resources", one), "above 1 it has to be a whole number")
            for one, count in wish.resources.items()
            if count > 1 and count != int(count)
        )
        yield from checks.sizes(("cluster", "targets", name), wish, "memory")
    yield from checks.spans(("cluster",), said, "lost_after")


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 1 << 16 and not set(host) & set(" /@")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
