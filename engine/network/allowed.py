"""Which hosts a list of the settings lets be reached. Pure.

A name alone is not enough: it may be made to lead to this machine, or to a cloud's own address for keys.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

PORTS = (443, 80)  #: where an entry names none
_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Entry:
    """One of the list: a host, or with `any_below` all hosts below it."""

    host: str
    ports: tuple[int, ...] = PORTS
    any_below: bool = False
    address: Address | None = None
    """What it is, where it is written as an address."""

    @property
    def here(self) -> bool:
        """This machine itself: what listens there is reached under the same address inside."""
        return self.host == "localhost" or (self.address is not None and self.address.is_loopback)

    def covers(self, host: str, port: int) -> bool:
        if port not in self.ports:
            return False
        if self.address is not None:
            return address_of(host) == self.address
        return host.endswith(f".{self.host}") if self.any_below else host == self.host


def parse(text: str) -> Entry:
    """`example.org`, `*.example.org:8443`, `10.0.0.7:5432`, `[::1]:8000`. Raises `ValueError` in plain words."""
    said = text.strip().lower()
    found = re.fullmatch(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::(\d{1,5}))?", said)
    port = int(found[2]) if found and found[2] else None
    if found is None or (port is not None and not 0 < port < 65_536):
        raise ValueError(f"{text!r} is no host; write api.example.org, *.example.org or 127.0.0.1:8000")
    host = found[1].strip("[]")
    ports = PORTS if port is None else (port,)
    if (address := address_of(host)) is not None:
        entry = Entry(str(address), ports, address=address)
    elif _NAME.fullmatch(host):
        entry = Entry(host.removeprefix("*.").rstrip("."), ports, host.startswith("*."))
    else:
        raise ValueError(f"{text!r} is no host; write api.example.org, *.example.org or 127.0.0.1:8000")
    if entry.here and port is None:
        raise ValueError(f"{text!r} is this machine, all of whose services would be open: name a port, {text}:8000")
    return entry


def address_of(host: str) -> Address | None:
    """A host that is written as an address; None for a name."""
    try:
        found = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def entry_for(entries: Sequence[Entry], host: str, port: int) -> Entry | None:
    """The entry that lets a host be reached, if one does. Names are compared without their last dot."""
    named = host.lower().rstrip(".")
    return next((one for one in entries if one.covers(named, port)), None)


def leads_astray(entry: Entry, address: Address) -> str:
    """Why an address that a name led to is not called; nothing where it may be.

    Who names an address means it. A name is not to lead to this machine or its link, where a cloud keeps its keys; and
    one that only fits a pattern, which may be anybody's, to no private network either.
    """
    if entry.address is not None or entry.here:
        return ""
    if address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast:
        return f"it leads to {address}, which is this machine's own"
    if entry.any_below and address.is_private:
        return f"it leads to {address} in a private network, and only a pattern lets it"
    return ""
