"""Who is at the other end of a connection."""

from __future__ import annotations

import logging
import os
import pwd
import socket
import struct
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from engine.model.access import Role

logger = logging.getLogger(__name__)

_CREDENTIALS = struct.Struct("3i")  #: pid, uid and gid, see unix(7)
_ENVIRONMENT_BYTES = 256 << 10  #: of a process's environment that are looked at


class Door(StrEnum):
    """By which way a call came."""

    UNIX = "unix"
    SSH = "ssh"
    TCP = "tcp"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what they may."""

    who: str
    """A user of this machine, or a token's name."""
    role: Role
    door: Door
    address: str = ""
    """Where they are: of the network, or a process of this machine."""
    job: int | None = None
    """The job whose agent opened the socket, where one did."""

    @property
    def actor(self) -> str:
        """As the log and the tables name who acts: the home's owner is the operator."""
        return "operator" if self.role is Role.OWNER else f"token {self.who}"


def at_socket(peer: socket.socket) -> Caller | None:
    """Who is at the other end of a UNIX socket: the engine's own user or root, whatever the modes of the files say.

    None for anybody else. What a process tells of itself in its environment, ssh or a job, is its own word.
    """
    pid, uid = _credentials(peer)
    if not is_owner(peer):
        return None
    own = _environment(pid)
    line = own.get(b"SSH_CONNECTION", b"").split()
    job = own.get(b"HEADWAY_JOB", b"")
    return Caller(
        _user(uid),
        Role.OWNER,
        Door.SSH if line else Door.UNIX,
        line[0].decode(errors="replace")[:60] if line else f"pid {pid}",
        int(job) if job.isdigit() and len(job) <= 18 else None,
    )


def is_owner(peer: socket.socket) -> bool:
    """Whether at the other end of a UNIX socket is the engine's own user, or root."""
    _, uid = _credentials(peer)
    if uid not in (os.geteuid(), 0):
        logger.warning("refused a connection of uid %d", uid)
        return False
    return True


def _credentials(peer: socket.socket) -> tuple[int, int]:
    """Its pid and its uid."""
    pid, uid, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, uid


@lru_cache(maxsize=64)
def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _environment(pid: int) -> dict[bytes, bytes]:
    """The two variables that say where a process comes from; none where it has gone, or is not ours to look at."""
    try:
        with Path(f"/proc/{pid}/environ").open("rb") as file:
            data = file.read(_ENVIRONMENT_BYTES)
    except OSError:
        return {}
    pairs = (one.partition(b"=") for one in data.split(b"\0"))
    return {name: value for name, _, value in pairs if name in (b"SSH_CONNECTION", b"HEADWAY_JOB")}
