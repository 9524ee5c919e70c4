"""What a provider says that it has counted: the reports of Anthropic and OpenAI, as JSON or CSV. Pure.

Shapes: platform.claude.com/docs/en/api/admin (usage_report/messages, cost_report, whose amounts are cents) and
platform.openai.com/docs/api-reference/usage (completions, costs); of CSV, a head and a line for each sum.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from engine.errors import UsageError
from engine.money import Exported

#: How the columns of a CSV, and the fields of a JSON sum, are called: by Anthropic, by OpenAI, and by `spend --csv`.
_DAY = ("day", "date", "usage_date_utc", "start_time_iso", "starting_at", "start_time")
_TOKENS = (
    "uncached_input_tokens", "usage_input_tokens_no_cache", "cache_read_input_tokens", "usage_input_tokens_cache_read",
    "usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write_1h", "cache_creation_input_tokens",
    "usage_output_tokens", "output_tokens", "input_tokens", "cache_read_tokens", "cache_write_tokens",
)  # fmt: skip
#: What comes of an export that is another one, or of numbers that no report has.
_WRONG = (ArithmeticError, LookupError, OSError, RecursionError, StopIteration, TypeError, ValueError, AttributeError)
_MONEY = ("cost_usd", "amount_value", "cost", "amount_usd")


def read(text: str, name: str) -> list[Exported]:
    """Sums by day of an export. Raises `UsageError` for what is none; `name` is the file's."""
    head = text.lstrip("\ufeff \t\r\n")
    try:
        found = _json(json.loads(head)) if head[:1] in ("{", "[") else _csv(head)
    except (*_WRONG, csv.Error) as error:
        raise UsageError(f"{name}: it cannot be read as a usage or cost report: {error}") from None
    if not found:
        raise UsageError(f"{name}: there is no day with tokens or money in it; docs/money.md says what is read")
    return _by_day(found)


def _json(value: Any) -> list[Exported]:
    """Pages of buckets: one page, several in a list, or the buckets alone."""
    pages = value if isinstance(value, list) else [value]
    buckets = [bucket for page in pages for bucket in page.get("data", [page])]
    return [_sum(_day(_first(bucket, _DAY)), one) for bucket in buckets for one in bucket.get("results", [])]


def _sum(day: str, one: Mapping[str, Any]) -> Exported:
    amount = one.get("amount")
    if isinstance(amount, Mapping):  # OpenAI: dollars
        return Exported(day=day, micros=round(float(amount["value"]) * 1_000_000))
    if amount is not None:  # Anthropic: cents
        return Exported(day=day, micros=round(float(amount) * 10_000))
    kept = one.get("cache_creation") or {}
    written = sum(int(kept.get(f"ephemeral_{span}_input_tokens") or 0) for span in ("5m", "1h"))
    tokens = sum(int(one.get(field) or 0) for field in _TOKENS)
    if "uncached_input_tokens" in one and "input_tokens" in one:
        tokens -= int(one["input_tokens"] or 0)
    return Exported(day=day, tokens=tokens + written)


def _csv(text: str) -> list[Exported]:
    rows = csv.DictReader(io.StringIO(text))
    names = rows.fieldnames or []
    if not any(name in names for name in _DAY):
        raise ValueError(f"it has no column for the day: {', '.join(_DAY[:3])}")
    found = []
    for row in rows:
        money = [row[name] for name in _MONEY if row.get(name)]
        told = [row[name] for name in _TOKENS if row.get(name)]
        day = _day(_first(row, _DAY))
        found.append(
            Exported(
                day=day,
                tokens=sum(int(float(one)) for one in told) if told else None,
                micros=round(float(money[0].replace("$", "").replace(",", "")) * 1_000_000) if money else None,
            )
        )
    return found


def _first(row: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next(row[name] for name in names if row.get(name) not in (None, ""))


def _day(value: Any) -> str:
    """The day in UTC of a date, a time, or seconds since 1970."""
    text = str(value)
    if text.isdigit():
        return datetime.fromtimestamp(int(text), UTC).strftime("%Y-%m-%d")
    told = datetime.fromisoformat(text)
    return (told if told.tzinfo is None else told.astimezone(UTC)).strftime("%Y-%m-%d")


def _by_day(parts: Iterable[Exported]) -> list[Exported]:
    days: dict[str, list[Exported]] = {}
    for one in parts:
        days.setdefault(one.day, []).append(one)
    return [
        Exported(
            day=day,
            tokens=_total(one.tokens for one in found),
            micros=_total(one.micros for one in found),
        )
        for day, found in sorted(days.items())
    ]


def _total(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def provider_of(text: str) -> str | None:
    """Whose report it is, by how its fields are called; None where they say nothing of it."""
    head = text[:20_000]
    if any(word in head for word in ("usage_date_utc", "starting_at", "uncached_input_tokens")):
        return "anthropic"
    return "openai" if any(word in head for word in ("start_time", "organization.usage", "amount_value")) else None
