"""Tells systemd how the service stands: sd_notify(3), a datagram to the socket that the environment names."""

from __future__ import annotations

import os
import socket
import time

READY = "READY=1"
STOPPING = "STOPPING=1"


def reloading() -> str:
    """The word for a reload, which has to carry the moment: systemd tells an old word from a new one by it."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"


def notify(*words: str) -> bool:
    """Say it; False where nobody asked to be told, or nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    where = f"\0{address[1:]}" if address[0] == "@" else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
        try:
            line.sendto("\n".join(words).encode(), where)
        except OSError:
            return False
    return True


def status(text: str) -> str:
    """One line for `systemctl status`."""
    return f"STATUS={text.splitlines()[0] if text else ''}"
