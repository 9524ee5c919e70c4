"""What crosses the socket between a shim and the engine: one JSON object a line."""

from __future__ import annotations

from msgspec import Raw, Struct


class Frame(Struct, frozen=True):
    """A call; with `cancel` the end of one that nobody waits for any more, which is answered too."""

    token: str
    call: str
    tool: str = ""
    arguments: Raw = Raw(b"{}")
    cancel: bool = False


class Reply(Struct, frozen=True):
    """How a call was answered."""

    call: str
    ok: bool
    text: str
