"""One answer of a provider -> what Headway makes of it. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from engine.agents.events import Limit
from engine.agents.headers import limits_in, of_counts
from engine.agents.llm.failures import Told, judge
from engine.model import Failure, Usage
from engine.tap.framing import Head
from engine.window import UNNAMED

ERROR_BYTES = 1 << 16  #: of an error's body, which is read for its code and its times
STEP = 0.02  #: a window's used share is told again once it has moved so far,
AGAIN_MS = 30_000  #: or so long after it was told


@dataclass(frozen=True, slots=True)
class Refusal:
    """The provider does not serve now."""

    status: int
    failure: Failure
    retry_at: int | None = None
    """Milliseconds UTC, as told."""

    def line(self, host: str, now: int) -> str:
        """As progress shows it."""
        wait = f", retry after {max(0, self.retry_at - now) / 1000:.0f} s" if self.retry_at is not None else ""
        return f"{self.status} from {host}{wait}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What is made known of one answer."""

    status: int
    limits: tuple[Limit, ...] = ()
    refusal: Refusal | None = None
    usage: Usage | None = None


def headers_of(head: Head) -> dict[str, str]:
    """The headers by their names in lower case. Of several with one name the last counts."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in head.headers}


def windows(headers: Mapping[str, str], now: int, model: str = "", *, refused: bool = False) -> tuple[Limit, ...]:
    """The windows that an answer's headers name. `model`: the one that the attempt was started for."""
    found = limits_in(headers, now, refused=refused, model=model)
    return tuple(replace(one, signal=f"tap: {one.signal}") for one in found if one.window != UNNAMED)


def refused(head: Head, body: bytes, now: int, model: str = "") -> Seen:
    """An answer of status 400 or more. `body`: its content, as far as it was kept."""
    return _refused(head.status, headers_of(head), body, now, model)


def broken_off(error: bytes, now: int, model: str = "") -> Seen | None:
    """What a stream that had begun ended with: the body of a refusal, of which the code alone tells the status.

    None where it is the request's own fault, or nobody's that waiting would help.
    """
    seen = _refused(200, {}, error, now, model)
    if seen.refusal is None:
        return None
    status = 429 if seen.refusal.failure is Failure.RATE_LIMITED else 503
    limits = tuple(replace(one, signal="tap: error in a stream") for one in seen.limits)
    return Seen(status, limits, Refusal(status, seen.refusal.failure, seen.refusal.retry_at))


def _refused(status: int, headers: Mapping[str, str], body: bytes, now: int, model: str) -> Seen:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        said = None
    verdict = judge(Told(status, said, headers), now)
    if verdict.failure not in (Failure.RATE_LIMITED, Failure.OVERLOADED):
        return Seen(status, windows(headers, now, model))
    limited = verdict.failure is Failure.RATE_LIMITED
    told = windows(headers, now, model, refused=limited)
    if limited:
        told += tuple(
            replace(of_counts(one.name, one.limit, 0, one.resets_at, model, refused=True), signal="tap: error")
            for one in verdict.quotas
        )
    if limited and not any(one.status == "rejected" for one in told):
        signal = f"tap: status {status}"
        told = (*told, Limit(UNNAMED, "rejected", None, verdict.retry_at, model=model, signal=signal))
    return Seen(status, told, Refusal(status, verdict.failure, verdict.retry_at))


def decoded(body: bytes, coding: bytes) -> bytes:
    """An error's body as it can be read; nothing where it cannot."""
    if coding in (b"", b"identity"):
        return body
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, ERROR_BYTES)
    except zlib.error:
        return b""


class Fresh:
    """Leaves out what was told already: every answer has the same headers, and each that is told is written down."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[Limit, int]] = {}

    def of(self, told: tuple[Limit, ...], now: int) -> tuple[Limit, ...]:
        new = tuple(one for one in told if self._is_new(one, now))
        self._told |= {one.window: (one, now) for one in new}
        return new

    def _is_new(self, one: Limit, now: int) -> bool:
        before, at = self._told.get(one.window, (None, 0))
        if before is None or before.status != one.status or one.status == "rejected" or now - at >= AGAIN_MS:
            return True
        return abs((one.used or 0.0) - (before.used or 0.0)) >= STEP
