"""What headway.yaml says of the tap between an account's agents and their provider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from engine.config.checks import split_address
from engine.documents import Complaint

if TYPE_CHECKING:
    from engine.config.settings import Settings

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class TapSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The tap of an account, where more is to be said of it than `true`."""

    upstream: str | None = None
    """Where its provider is, for one that is not at its usual address."""


def complaints(settings: Settings) -> Iterator[Complaint]:
    """What is wrong with the taps of accounts."""
    for name, account in settings.accounts.items():
        if not account.tap:
            continue
        if account.key is None:
            yield ("accounts", name, "tap"), "the tap is for accounts with an API key: name it by key, or remove tap"
        said = account.tap.upstream if isinstance(account.tap, TapSettings) else None
        if said is not None and (why := _refused(said)):
            yield ("accounts", name, "tap", "upstream"), why


def _refused(url: str) -> str:
    at = split_address(url)
    if at is None or not url.isascii() or not url.isprintable():
        return "it is no address; write https://HOST/PATH"
    if at.query or at.fragment or at.username or " " in url:
        return "it has to be https://HOST/PATH alone, without a name, a query or a fragment"
    if at.scheme == "http" and at.hostname not in LOOPBACK:
        return "http:// would send the key over the network as it is: write https://"
    return ""
