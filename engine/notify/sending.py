"""What every channel has in common: a message in, nothing out, or an error that says whether to try again."""

from __future__ import annotations

from typing import Protocol

from engine.notice import Message


class NotSentError(Exception):
    """A message did not go out. `final`: it never will; `after`: not before so many seconds."""

    def __init__(self, why: str, *, final: bool = False, after: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.final = final
        self.after = after


class Sender(Protocol):
    """Sends on one channel."""

    async def send(self, message: Message, key: str | None) -> None:
        """`key`: what the channel's key reference led to. Raises `NotSentError`."""
        ...
