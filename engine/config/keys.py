"""Where a key is kept: a reference, never the key."""

from __future__ import annotations

from msgspec import Struct


class KeyReference(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a key is kept, in exactly one way. The key itself stands nowhere in Headway."""

    env: str | None = None
    """The name of a variable of the engine's environment."""
    file: str | None = None
    """A file that holds it and nothing else."""
    command: list[str] | None = None
    """A program that prints it, such as that of a password manager."""
    variable: str | None = None
    """The variable in which the agent takes it, where that is not its usual one."""
