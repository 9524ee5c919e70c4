"""How much of the engine an address, or a token, may have. Pure: times in seconds, by any clock that goes forward."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from engine.mcp.pace import Pace

ALL_CONNECTIONS = 512  #: over the network, of everybody
REMEMBERED = 4_096  #: addresses, and tokens: who comes after that many others begins anew
FREE_FAILURES = 5  #: wrong tokens of an address before it is put off
LONGEST_PUT_OFF = 60.0  #: seconds
FORGOTTEN_AFTER = 600.0  #: seconds without another wrong token

T = TypeVar("T")


@dataclass(slots=True)
class Newest(Generic[T]):
    """The newest of many, by a key."""

    _kept: OrderedDict[str, T] = field(default_factory=OrderedDict)

    def get(self, key: str, fresh: T) -> T:
        """The one of this key, or a fresh one, which is kept from now on."""
        found = self._kept.pop(key, fresh)
        self._kept[key] = found
        if len(self._kept) > REMEMBERED:
            self._kept.popitem(last=False)
        return found


@dataclass(slots=True)
class _Failures:
    count: int = 0
    at: float = 0.0
    until: float = 0.0


@dataclass(slots=True)
class Peers:
    """Whose connections are open, who came too often, and who showed wrong tokens."""

    requests: int
    connections: int
    _open: dict[str, int] = field(default_factory=dict)
    _under_way: dict[int, int] = field(default_factory=dict)
    _coming: Newest[Pace] = field(default_factory=Newest)
    _asking: Newest[Pace] = field(default_factory=Newest)
    _failed: Newest[_Failures] = field(default_factory=Newest)

    def admit(self, address: str, now: float) -> bool:
        """Whether another connection of an address is taken; if so, `left` is called at its end."""
        key = network_of(address)
        if sum(self._open.values()) >= ALL_CONNECTIONS or self._open.get(key, 0) >= self.connections:
            return False
        if self._coming.get(key, Pace.of(self.requests, now)).take(now):
            return False
        self._open[key] = self._open.get(key, 0) + 1
        return True

    def left(self, address: str) -> None:
        """A connection has ended."""
        key = network_of(address)
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]

    def asks(self, token: int, now: float) -> float:
        """Seconds until a token may make another request; 0 where it may now."""
        return self._asking.get(str(token), Pace.of(self.requests, now)).take(now)

    def begins(self, token: int) -> bool:
        """Whether another request of a token may be under way; if so, `ends` is called at its end."""
        if self._under_way.get(token, 0) >= self.connections:
            return False
        self._under_way[token] = self._under_way.get(token, 0) + 1
        return True

    def ends(self, token: int) -> None:
        """A request has been answered."""
        self._under_way[token] -= 1
        if not self._under_way[token]:
            del self._under_way[token]

    def put_off(self, address: str, now: float) -> float:
        """An address showed a wrong token, or none. Seconds for which it is not heard any more; 0: not yet."""
        one = self._failed.get(network_of(address), _Failures())
        if now < one.until:
            return one.until - now
        if now - one.at > FORGOTTEN_AFTER:
            one.count = 0
        one.count, one.at = one.count + 1, now
        over = one.count - FREE_FAILURES
        if over > 0:
            one.until = now + min(LONGEST_PUT_OFF, 2.0 ** min(over - 1, 10))
        return 0.0


def network_of(address: str) -> str:
    """Whom an address counts as: itself, or the /64 of IPv6 that one subscriber has."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))
