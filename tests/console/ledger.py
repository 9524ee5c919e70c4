"""Scenes of the console's lists: an engine whose every list has something in it."""

from __future__ import annotations

from engine.model import Breaker, Failure
from engine.model.forecast import Burn, Forecast, Through
from engine.window import Standing, WindowState
from tests.console import scenes
from tests.console.fake import FakeEngine
from tests.console.moment import MINUTE, NOW

HOUR = 60 * MINUTE
DAY = 24 * HOUR


def laden() -> FakeEngine:
    engine = scenes.busy()
    engine.books.windows = windows()
    engine.books.breakers = [
        Breaker("codex:gpt-6@team", Failure.OVERLOADED, (NOW - 3 * MINUTE, NOW - MINUTE), NOW + 7 * MINUTE, opened=2)
    ]
    engine.books.forecast = Forecast(
        now=NOW,
        through=Through(jobs=5, finish=NOW + 3 * HOUR, finish_late=NOW + 5 * HOUR, cost_micros=4_200_000, games=200),
        burns=[
            Burn(
                account="claude@work", window="five_hour", used=0.74, seen_at=NOW - MINUTE, rate=0.2,
                resets_at=NOW + 134 * MINUTE, since=NOW - 2 * HOUR, wall=NOW + 78 * MINUTE,
            )
        ],
    )  # fmt: skip
    return engine


def windows() -> list[WindowState]:
    return [
        WindowState(
            account="claude@work", window="five_hour", model="", standing=Standing.OPEN, used=0.74,
            resets_at=NOW + 134 * MINUTE, until=None, source="claude rate_limit_event", observed_at=NOW - MINUTE,
            length=5 * HOUR, waiting=0,
        ),
        WindowState(
            account="claude@work", window="seven_day", model="opus", standing=Standing.WARNING, used=0.91,
            resets_at=NOW + 3 * DAY + 4 * HOUR, until=None, source="claude rate_limit_event", observed_at=NOW - MINUTE,
            length=7 * DAY, waiting=0,
        ),
        WindowState(
            account="codex@team", window="requests", model="", standing=Standing.CLOSED, used=1.0,
            resets_at=NOW + 41_000, until=NOW + 41_000, source="codex rate_limits", observed_at=NOW - 9_000,
            length=MINUTE, waiting=3,
        ),
        WindowState(
            account="gemini", window="requests_per_day", model="", standing=Standing.UNKNOWN, used=None,
            resets_at=None, until=None, source="gemini quota", observed_at=NOW - DAY, length=DAY, waiting=0,
        ),
    ]  # fmt: skip
