"""A report of what was spent: its lines in order, with what is to be known of them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from engine.errors import UsageError
from engine.money import By, Quota, SpendLine
from engine.units import milliseconds
from engine.window import WindowState

#: The windows that a subscription has, and a key has not: `agents` names them so for all agents.
SUBSCRIBED = ("five_hour", "seven_day")
DAYS = 14  #: that a report goes back where nobody says how far


def since_of(text: str, now: int) -> int:
    """When a report begins, milliseconds UTC: `today`, `7d`, `2026-11-01`, an ISO 8601 time, or `all`.

    Raises `UsageError`.
    """
    word = text.strip()
    if word == "all":
        return 0
    if word == "today":
        return midnight(now)
    try:
        told = datetime.fromisoformat(word)
    except ValueError:
        try:
            return now - milliseconds(word)
        except ValueError:
            raise UsageError(f"since: {text!r} is no time; write today, 7d, 2026-11-01 or all") from None
    try:
        return int(told.astimezone().timestamp() * 1000)
    except (OverflowError, ValueError, OSError):  # before or after what this machine's zone can tell
        raise UsageError(f"since: {text!r} is too far away; write all for everything") from None


def midnight(now: int, days: int = 0) -> int:
    """When the day of a time began on this machine, or so many days before it. A day may have 23 or 25 hours."""
    day = datetime.fromtimestamp(now / 1000).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
    return int(day.timestamp() * 1000)


def ordered(lines: Iterable[SpendLine], by: By) -> list[SpendLine]:
    """Days as they come; of all else the dearest first, and where nobody knows, the most tokens."""
    if by is By.DAY:
        return sorted(lines, key=lambda one: one.name)
    return sorted(lines, key=lambda one: (-(one.cost_micros or 0), -one.told_tokens - one.output_tokens, one.name))


def quotas(windows: Iterable[WindowState]) -> dict[str, list[Quota]]:
    """By account, as `claude@work`: the windows of those that are subscriptions."""
    found: dict[str, list[Quota]] = {}
    for one in windows:
        if one.window.startswith(SUBSCRIBED):
            quota = Quota(window=one.window, used=one.used, resets_at=one.resets_at, observed_at=one.observed_at)
            found.setdefault(one.account, []).append(quota)
    return found


def labelled(
    lines: Sequence[SpendLine], by: By, windows: Mapping[str, list[Quota]], signed_in: Collection[str]
) -> list[SpendLine]:
    """Accounts with whether a subscription pays, and how much of it is used. `signed_in`: those without a key."""
    if by is not By.ACCOUNT:
        return list(lines)
    return [
        replace(one, subscription=one.name in windows or one.name in signed_in, quota=windows.get(one.name, []))
        for one in lines
    ]
