"""Who calls, and how a tool is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from engine.mcp.capability import Grant


@dataclass(frozen=True, slots=True)
class Caller:
    """One call of an attempt."""

    grant: Grant
    call: str
    """The shim's name for it: the same when it is sent again."""

    @property
    def attempt(self) -> int:
        return self.grant.attempt

    @property
    def job(self) -> int:
        return self.grant.job


Handler = Callable[[Caller, Any], Awaitable[str]]
"""What a tool does: its caller and its arguments in, words out. Raises `HeadwayError`s, whose words are told."""
