"""Every screen is drawn at the same moment of the same day, in UTC."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def hurry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists come soon after a key or an event, except where a test is about their not coming too soon."""
    if "real_pace" not in request.fixturenames:
        monkeypatch.setattr("console.screens.queue._GRACE", 0.03)
        monkeypatch.setattr("console.pace._LEAST", 0.05)


@pytest.fixture
def real_pace() -> None:
    """The test meets the console's own patience."""
