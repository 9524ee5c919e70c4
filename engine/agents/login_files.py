"""What an agent's own login file tells, without its secrets: whether it can be read, and whether it still holds. Pure.

The forms are the programs' own, as they write them: Claude Code 2.1 `.credentials.json`, codex 0.169 `auth.json`,
opencode 1.18 `auth.json`, Gemini CLI 0.61 `oauth_creds.json`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
from msgspec import Struct, field


@dataclass(frozen=True, slots=True)
class Told:
    """What a login file says."""

    ok: bool
    found: str
    expires_at: int | None = None
    """Milliseconds UTC, where the file names an end that does not move by itself."""


class _ClaudeLogin(Struct, rename="camel"):
    access_token: str = ""
    refresh_token: str | None = None
    expires_at: int | None = None
    subscription_type: str | None = None


class _ClaudeFile(Struct):
    login: _ClaudeLogin | None = field(default=None, name="claudeAiOauth")


class _CodexTokens(Struct):
    access_token: str = ""
    refresh_token: str | None = None


class _CodexFile(Struct):
    key: str | None = field(default=None, name="OPENAI_API_KEY")
    tokens: _CodexTokens | None = None


class _OpencodeEntry(Struct):
    type: str = ""
    refresh: str | None = None
    expires: float | None = None
    key: str | None = None


class _GeminiFile(Struct):
    access_token: str = ""
    refresh_token: str | None = None
    expiry_date: float | None = None


def read_login(agent: str, data: bytes, now: int) -> Told:
    """What a file of that agent says, to whoever asks at `now` (milliseconds UTC)."""
    read = _READERS.get(agent)
    if read is None:
        return Told(True, "a login")
    try:
        return read(data, now)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Told(False, "a login file that cannot be read")


def _claude(data: bytes, now: int) -> Told:
    login = msgspec.json.decode(data, type=_ClaudeFile).login
    if login is None or not login.access_token:
        return Told(False, "a login file without a login")
    plan = f" ({login.subscription_type})" if login.subscription_type else ""
    return _lasting(f"a login{plan}", login.expires_at, bool(login.refresh_token), now)


def _codex(data: bytes, now: int) -> Told:
    file = msgspec.json.decode(data, type=_CodexFile)
    if file.tokens is not None and file.tokens.access_token:
        end = _end_of(file.tokens.access_token)
        return _lasting("a login", end, bool(file.tokens.refresh_token), now)
    return Told(True, "a key") if file.key else Told(False, "a login file without a login")


def _opencode(data: bytes, now: int) -> Told:
    entries = msgspec.json.decode(data, type=dict[str, _OpencodeEntry])
    told = [
        _lasting(name, None if entry.expires is None else round(entry.expires), bool(entry.refresh), now)
        for name, entry in sorted(entries.items())
    ]
    if not told:
        return Told(False, "a login file without a login")
    return Told(all(one.ok for one in told), "logins of " + ", ".join(one.found for one in told))


def _gemini(data: bytes, now: int) -> Told:
    file = msgspec.json.decode(data, type=_GeminiFile)
    if not file.access_token and not file.refresh_token:
        return Told(False, "a login file without a login")
    end = None if file.expiry_date is None else round(file.expiry_date)
    return _lasting("a login", end, bool(file.refresh_token), now)


_READERS: Mapping[str, Callable[[bytes, int], Told]] = {
    "claude": _claude,
    "codex": _codex,
    "opencode": _opencode,
    "gemini": _gemini,
}


def _lasting(what: str, expires_at: int | None, renews: bool, now: int) -> Told:
    """A login that renews itself holds; what its file calls the end is only that of a short-lived token."""
    if renews or not expires_at:
        return Told(True, what)
    return Told(expires_at > now, what if expires_at > now else f"{what}, expired", expires_at)


def _end_of(token: str) -> int | None:
    """The end that a JSON Web Token names (RFC 7519, `exp`), unverified: it is the owner's own."""

    class Claims(Struct):
        exp: float | None = None

    try:
        body = token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=Claims)
    except (IndexError, ValueError, msgspec.MsgspecError):
        return None
    return None if claims.exp is None else round(claims.exp * 1_000)
