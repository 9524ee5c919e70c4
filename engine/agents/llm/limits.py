"""Rate limits in a provider's answer: headers and error details in, windows and times out. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.agents.llm.lines import Window

#: docs.anthropic.com, "Rate limits": integers, reset as RFC 3339.
_ANTHROPIC = ("requests", "tokens", "input-tokens", "output-tokens")
#: platform.openai.com, "Rate limits": integers, reset as a span such as `6m0s` or `12ms`. Compatible servers copy them.
_OPENAI = ("requests", "tokens")

_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_SPAN_MS = (86_400_000, 3_600_000, 60_000, 1_000, 1)
_AGREED_MS = 2_000  #: clocks that differ by less agree: an answer takes a while, and its date has no fractions
_PERIODS = {"PerDay": "per_day", "PerMinute": "per_minute"}
_LONGEST_MS = 31 * 86_400_000  #: a longer wait than a month is a mistake of whoever says so


def windows(headers: Mapping[str, str], now: int) -> tuple[Window, ...]:
    """The windows that an answer's headers (names in lower case) tell of."""
    found = []
    for kinds, prefix, reset in (
        (_ANTHROPIC, "anthropic-ratelimit-{kind}-{what}", _moment),
        (_OPENAI, "x-ratelimit-{what}-{kind}", _later),
    ):
        for kind in kinds:
            limit, remaining, resets = (
                headers.get(prefix.format(kind=kind, what=what)) for what in ("limit", "remaining", "reset")
            )
            if limit is not None or remaining is not None:
                resets_at = reset(resets, now) if resets else None
                if reset is _moment:
                    resets_at = shifted(resets_at, headers, now)
                found.append(Window(kind.replace("-", "_"), _count(limit), _count(remaining), resets_at))
    return tuple(one for one in found if one.limit is not None or one.remaining is not None)


def shifted(at: int | None, headers: Mapping[str, str], now: int) -> int | None:
    """A moment of the provider's clock by ours, as far as its `date` tells how they differ."""
    date = headers.get("date")
    if at is None or date is None:
        return at
    try:
        ahead = now - _millis(parsedate_to_datetime(date))
    except (ValueError, OverflowError, TypeError):
        return at
    return at + ahead if abs(ahead) > _AGREED_MS else at


def quotas(error: Mapping[str, Any], now: int) -> tuple[Window, ...]:
    """The quotas that one of Google's errors says were used up, each with its own end.

    A day's quota can come with a delay of seconds: that is when a minute's would be free.
    """
    found = {}
    for violation in violations(error):
        kind = "tokens" if "Token" in str(violation.get("quotaId", "")) else "requests"
        name = next((end for said, end in _PERIODS.items() if said in str(violation.get("quotaId", ""))), None)
        if name is not None:
            resets_at = _midnight(now) if name == "per_day" else _delay(error, now)
            found[f"{kind}_{name}"] = Window(f"{kind}_{name}", remaining=0, resets_at=resets_at)
    return tuple(found.values())


def retry_at(headers: Mapping[str, str], error: Mapping[str, Any], now: int) -> int | None:
    """When a refused caller may come back, in milliseconds UTC; None where nobody says so.

    What is said outright counts first. Otherwise it is the latest reset of the windows that are used up.
    """
    said = [
        _after(headers, now),
        _google(error, now),
        _epoch(error.get("resets_at")),
    ]
    if known := [at for at in said if at is not None]:
        return max(known)
    return max((one.resets_at for one in windows(headers, now) if one.remaining == 0 and one.resets_at), default=None)


def span_ms(text: str) -> int | None:
    """`6m0s`, `900ms`, `36s`, or a bare number of seconds."""
    text = text.strip()
    if re.fullmatch(r"\d+(?:\.\d+)?", text):
        return round(min(float(text) * 1_000, _LONGEST_MS))
    parts = _SPAN.fullmatch(text)
    if parts is None or not any(parts.groups()):
        return None
    spans = (float(part or 0) * unit for part, unit in zip(parts.groups(), _SPAN_MS, strict=True))
    return round(min(sum(spans), _LONGEST_MS))


def _after(headers: Mapping[str, str], now: int) -> int | None:
    """`retry-after-ms`, or `retry-after` in seconds or as a date (RFC 9110, 10.2.3)."""
    precise = headers.get("retry-after-ms", "")
    if re.fullmatch(r"\d{1,12}(?:\.\d+)?", precise):
        return now + round(min(float(precise), _LONGEST_MS))
    text = headers.get("retry-after")
    if text is None:
        return None
    if (span := span_ms(text)) is not None:
        return now + span
    try:
        return _millis(parsedate_to_datetime(text))
    except (ValueError, OverflowError):
        return None


def _google(error: Mapping[str, Any], now: int) -> int | None:
    """google.rpc.RetryInfo; a quota of a whole day is only free again at midnight in California, whatever that says.

    Source: ai.google.dev/gemini-api/docs/rate-limits, "Requests per day (RPD) quotas reset at midnight Pacific time".
    """
    known = [at for at in (_delay(error, now),) if at is not None]
    if any("PerDay" in str(violation.get("quotaId", "")) for violation in violations(error)):
        known.append(_midnight(now))
    return max(known, default=None)


def _delay(error: Mapping[str, Any], now: int) -> int | None:
    spans = [span_ms(str(one.get("retryDelay", ""))) for one in details(error) if _kind(one) == "RetryInfo"]
    return max((now + span for span in spans if span is not None), default=None)


def details(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The typed details of one of Google's errors."""
    found = error.get("details")
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def violations(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The quotas that one of Google's errors says were used up."""
    lists = [one.get("violations") for one in details(error) if _kind(one) == "QuotaFailure"]
    return [one for listed in lists if isinstance(listed, list) for one in listed if isinstance(one, dict)]


def _kind(detail: Mapping[str, Any]) -> str:
    return str(detail.get("@type", "")).rpartition(".")[2]


def _midnight(now: int) -> int:
    try:
        zone: Any = ZoneInfo("America/Los_Angeles")
    except ZoneInfoNotFoundError:  # a machine without a time zone database
        zone = timezone(timedelta(hours=-8))
    today = datetime.fromtimestamp(now / 1_000, zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    return _millis((today + timedelta(days=1)).replace(tzinfo=zone))


def _moment(text: str, now: int) -> int | None:
    try:
        return _millis(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def _later(text: str, now: int) -> int | None:
    span = span_ms(text)
    return None if span is None else now + span


def _epoch(seconds: object) -> int | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e11:
        return None
    return round(seconds * 1_000)


def _millis(moment: datetime) -> int:
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)


def _count(text: str | None) -> int | None:
    """Some servers send -1 or nothing for what they do not count."""
    return int(text) if text is not None and re.fullmatch(r"\d{1,18}", text.strip()) else None
