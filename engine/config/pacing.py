"""What headway.yaml says of pacing: how background work leaves an account's windows to the other work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from engine.config.settings import Settings

RESERVED_FROM, SPREAD_FROM = 6, 4  #: the first priority number that is background, where nobody says so

_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")


class PacingSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One way to pace."""

    reserve: str | None = None
    """Such as `20%`: so much of each window is kept from background work."""
    even: bool = False
    """Background work uses a window no faster than its time goes by."""
    background: Annotated[int, Meta(ge=0, le=9)] | None = None
    """Jobs of this priority number and of higher ones are background: 6 with `reserve`, 4 with `even`."""

    @property
    def share(self) -> float:
        """What is kept, 0 to 1. Raises `ValueError` for what is no share."""
        found = _SHARE.fullmatch((self.reserve or "").strip())
        if found is None or not 0 < float(found[1]) < 100:
            raise ValueError(f"{self.reserve!r} is no share of a window; write 20%")
        return float(found[1]) / 100


Pacing = bool | str | PacingSettings  #: `off`, which is a boolean in YAML, or `even`, or one of these


def pacing_of(said: Pacing) -> PacingSettings | None:
    """What was said; None for `off`. Raises `ValueError` for a word that is none."""
    if isinstance(said, PacingSettings):
        return said
    if said is False or said == "off":
        return None
    if said == "even":
        return PacingSettings(even=True)
    raise ValueError(f"{said if isinstance(said, str) else 'on'!r} is no pacing; write off, even or {{reserve: 20%}}")


def complaints(settings: Settings) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong with the pacing of all accounts, and of each."""
    yield from _wrong(("pacing",), settings.pacing)
    for name, account in settings.accounts.items():
        if account.pacing is not None:
            yield from _wrong(("accounts", name, "pacing"), account.pacing)


def _wrong(keys: tuple[str, ...], said: Pacing) -> Iterator[tuple[tuple[str, ...], str]]:
    try:
        one = pacing_of(said)
        if one is not None and (one.reserve is None) is not one.even:
            yield keys, "say one way: even: true, or reserve: 20%"
        elif one is not None and one.reserve is not None:
            _ = one.share
    except ValueError as error:
        yield keys, str(error)
