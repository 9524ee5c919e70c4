"""Whose servers an address belongs to, as far as an address tells."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from engine.agents.base import LOCAL


def provider_at(url: str | None, usual: str) -> str | None:
    """The provider at an address: `usual` where none is given, `LOCAL` for this machine, else the name of the host.

    None for what is no address.
    """
    if not url:
        return usual
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return None
    return None if host is None else LOCAL if _is_here(host) else host


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
