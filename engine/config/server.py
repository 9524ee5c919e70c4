"""What headway.yaml says of the way to the engine over the network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from engine.config import checks
from engine.documents import Complaint
from engine.units import size

if TYPE_CHECKING:
    from engine.config.settings import Settings

LARGEST = 128 << 20  #: bytes of a request, over the socket too
SMALLEST = 1 << 10


class ServerSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the engine is reached over TCP, and how much of it one caller may have."""

    listen: str | None = None
    """`HOST:PORT`; unset: nowhere but at the socket in the home."""
    certificate: str | None = None
    """A PEM file, with the chain; unset: what `headway server certificate` made in the home."""
    key: str | None = None
    """Its key, likewise."""
    requests: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_200
    """That a token may make in a minute, and new connections that an address may."""
    connections: Annotated[int, Meta(ge=1, le=10_000)] = 64
    """That an address may have open, and requests that a token may have under way, streams among them."""
    body: str | int = "16M"
    """The largest request."""


def complaints(settings: Settings) -> Iterator[Complaint]:
    """What is wrong with it beyond the types."""
    server = settings.server
    if server.listen is not None and (why := refused(server.listen)):
        yield ("server", "listen"), why
    if (server.certificate is None) != (server.key is None):
        yield ("server", "certificate"), "certificate and key belong together: name both, or neither"
    for name in ("certificate", "key"):
        path = getattr(server, name)
        if path is not None and not checks.is_whole(path):
            yield ("server", name), "it has to be an absolute path, or begin with ~"
    wrong = list(checks.sizes(("server",), server, "body"))
    yield from wrong
    if not wrong and not SMALLEST <= size(server.body) <= LARGEST:
        yield ("server", "body"), "it has to be from 1K to 128M"


def refused(listen: str) -> str:
    """Why that is no place to listen at; empty where it is one."""
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        return "write HOST:PORT, such as 127.0.0.1:7433 or [::1]:7433; 0.0.0.0:7433 is every address of this machine"
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        return "an IPv6 address stands in brackets: [::1]:7433"
    return ""
