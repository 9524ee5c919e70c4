"""The tap of one attempt: what its agent may call, and what has passed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from engine.agents.events import Limit
from engine.clock import now_ms
from engine.model import TapState, Usage
from engine.tap.reading import Fresh, Refusal, Seen
from engine.tap.upstream import Upstream


@dataclass(slots=True)
class Tally:
    """What has passed so far."""

    calls: int = 0
    running: int = 0
    refused: int = 0
    failed: int = 0
    status: int | None = None
    retry_at: int | None = None
    tokens: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    """Input, output, read from a cache, written into one."""

    def add(self, usage: Usage) -> None:
        told = (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens)
        self.tokens = [sum(pair) for pair in zip(self.tokens, told, strict=True)]


@dataclass(frozen=True, slots=True)
class Whose:
    """The attempt that a door is for."""

    job: int
    attempt: int
    account: str
    marker: str
    model: str | None = None
    """The one that it was started for: limits of requests and tokens are each model's own."""


class Door:
    """Made and listened to in the engine's loop, used in the tap's own."""

    def __init__(self, whose: Whose, token: str, stand_in: str, upstream: str, key: str | None) -> None:
        self.whose = whose
        self.token = token
        """The first word of the path that its agent calls."""
        self.stand_in = stand_in.encode()
        """What its agent has for a key."""
        self.key = key.encode() if key is not None else None
        """The key itself; None until it has been looked up again after a restart."""
        self.upstream = Upstream(upstream)
        self.closed = False
        """Its attempt has ended."""
        self.tally = Tally()
        self._fresh = Fresh()
        self._loop = asyncio.get_running_loop()
        self._listener: Callable[[str, Seen], None] | None = None
        self._unheard: list[Seen] = []

    def listen(self, listener: Callable[[str, Seen], None]) -> None:
        """Be told of every answer, with the provider's host: also of those that came already."""
        self._listener = listener
        for seen in self._unheard:
            listener(self.upstream.host, seen)
        self._unheard.clear()

    def begin(self) -> None:
        """A call goes to the provider."""
        self.tally.calls += 1
        self.tally.running += 1

    def see(self, status: int, limits: tuple[Limit, ...], refusal: Refusal | None = None) -> None:
        """An answer has begun, or an error has been read."""
        tally = self.tally
        tally.status, tally.retry_at = status, refusal.retry_at if refusal is not None else None
        tally.refused += refusal is not None
        self._tell(Seen(status, self._fresh.of(limits, now_ms()), refusal))

    def end(self, usage: Usage | None = None, *, answered: bool = True) -> None:
        """A call has come to its end."""
        self.tally.running -= 1
        self.tally.failed += not answered
        if usage is not None:
            self.tally.add(usage)

    def state(self) -> TapState:
        tally = self.tally
        fresh, out, read, written = tally.tokens
        return TapState(
            job=self.whose.job,
            attempt=self.whose.attempt,
            account=self.whose.account,
            upstream=self.upstream.host,
            calls=tally.calls,
            running=tally.running,
            refused=tally.refused,
            failed=tally.failed,
            input_tokens=fresh,
            output_tokens=out,
            cache_read_tokens=read,
            cache_write_tokens=written,
            status=tally.status,
            retry_at=tally.retry_at,
        )

    def _tell(self, seen: Seen) -> None:
        with contextlib.suppress(RuntimeError):  # the engine's loop has ended
            self._loop.call_soon_threadsafe(self._hear, seen)

    def _hear(self, seen: Seen) -> None:
        if self._listener is not None:
            self._listener(self.upstream.host, seen)
        else:
            self._unheard.append(seen)
