"""Who may see the console in a browser: who has the token, on a page of ours, at an address of this machine. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from http.cookies import CookieError, SimpleCookie

#: Names under which a browser on this machine reaches a server on loopback. Another name that leads here is an attack
#: by DNS: a page from elsewhere that has become "our" origin.
_NAMES = ("127.0.0.1", "localhost", "[::1]")

COOKIE = "headway"


class Verdict(Enum):
    COME_IN = "come in"
    SIGNED_IN = "signed in"
    """The token was in the address: it becomes a cookie, and leaves the address."""
    STRANGER = "stranger"
    """No token, or a wrong one."""
    WRONG_PLACE = "wrong place"
    """Another host, or a page from elsewhere."""


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    token: str
    port: int

    @property
    def _hosts(self) -> tuple[str, ...]:
        return tuple(f"{name}:{self.port}" for name in _NAMES)

    def judge(self, headers: Mapping[str, str], token: str | None, *, socket: bool) -> Verdict:
        """Judge a request by its headers and the token in its address; `socket` where it asks for a websocket."""
        if headers.get("Host", "").lower() not in self._hosts:
            return Verdict.WRONG_PLACE
        origin = headers.get("Origin")
        if origin is None:
            # A browser says from which page a websocket is asked for; a program that does not is none.
            if socket or headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
                return Verdict.WRONG_PLACE
        elif origin.lower() not in {f"http://{host}" for host in self._hosts}:
            return Verdict.WRONG_PLACE
        if token is not None:
            return Verdict.SIGNED_IN if self._is(token) and not socket else Verdict.STRANGER
        return Verdict.COME_IN if self._is(_cookie(headers.get("Cookie", ""))) else Verdict.STRANGER

    def _is(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(errors="replace"), self.token.encode())


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""
