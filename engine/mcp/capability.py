"""What an attempt may call Headway with: a token of its own, for as long as it lives.

Its agent's shim finds the token in a file of the run directory that nobody else may read. The engine keeps a hash of
it: in memory, and among the facts of the run directory for the engine that comes after it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine import __version__
from engine.home import AGENTS
from engine.mcp.pace import Pace
from engine.mcp.tools import WAITS, described, instructions
from engine.model import Tool
from engine.runner.run_dir import RunDir
from engine.store.claims import Claim

FILE = "mcp.json"  #: in the run directory


@dataclass(frozen=True, slots=True)
class Grant:
    """Whom a token is for, and what it lets them call."""

    claim: Claim
    tools: frozenset[Tool]
    pace: Pace

    @property
    def attempt(self) -> int:
        return self.claim.attempt.id

    @property
    def job(self) -> int:
        return self.claim.job.id


class Grants:
    """The tokens that are good now. One for an engine."""

    def __init__(self, calls: int) -> None:
        """`calls` that an attempt may make in a minute."""
        self._calls = calls
        self._by_hash: dict[str, Grant] = {}
        self._by_attempt: dict[int, str] = {}

    def issue(self, claim: Claim, tools: frozenset[Tool]) -> str:
        """A new token for an attempt."""
        token = secrets.token_urlsafe(32)
        self.renew(claim, tools, hashed(token))
        return token

    def renew(self, claim: Claim, tools: frozenset[Tool], hash_: str) -> None:
        """An attempt that an earlier engine gave a token to keeps it."""
        self.revoke(claim.attempt.id)
        self._by_hash[hash_] = Grant(claim, tools, Pace.of(self._calls, time.monotonic()))
        self._by_attempt[claim.attempt.id] = hash_

    def of(self, token: str) -> Grant | None:
        """Whose token it is; None for one that is good for nothing, or not any more."""
        return self._by_hash.get(hashed(token))

    def revoke(self, attempt: int) -> None:
        """The attempt has ended."""
        if (hash_ := self._by_attempt.pop(attempt, None)) is not None:
            self._by_hash.pop(hash_, None)


def hashed(token: str) -> str:
    """A token is random and long: a plain hash of it tells nothing."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def write(run: RunDir, home: Path, token: str, tools: Sequence[Tool]) -> Path:
    """The file that a shim is started with, for its owner alone."""
    path = run.path / FILE
    content = {
        "home": str(home),
        "socket": AGENTS,
        "token": token,
        "version": __version__,
        "instructions": instructions(tools),
        "tools": [described(tool) for tool in tools],
        "waits": WAITS,
    }
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(msgspec.json.encode(content))
    return path


def newest(home: Path, job: int) -> Path | None:
    """The file of a job's attempt that runs; None where none does, or has the tools."""
    found = (home / "runs" / str(job)).glob(f"*/{FILE}")
    return max(found, key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0, default=None)


def remove(run: RunDir) -> None:
    """The attempt has ended: nothing of its token is left."""
    with contextlib.suppress(OSError):
        (run.path / FILE).unlink(missing_ok=True)
