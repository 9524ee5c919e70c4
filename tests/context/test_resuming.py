"""Whether a session goes on: its place, its account, its agent's version, and the policy."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine.config import AgentSettings, SessionSettings, Settings
from engine.context.resuming import Here, Policy, obstacle, remark, worn
from engine.sessions import Session, SessionState

HOUR = 3_600_000
PARKED = Session(
    id="s", agent="claude", workspace="/w", state=SessionState.PARKED, created_at=0, used_at=0, account="work",
    agent_version="2.1.197", turns=79, context_tokens=149_999, context_window=200_000,
)  # fmt: skip
HERE = Here("/w", "work", "2.1.197", 12 * HOUR - 1)
POLICY = Policy(12 * HOUR, 80, 0.75)


def test_where_all_is_as_it_was_it_goes_on() -> None:
    assert (obstacle(PARKED, HERE), remark(PARKED, HERE), worn(PARKED, POLICY, HERE.now)) == ("", "", "")


@pytest.mark.parametrize(
    ("session", "here", "why"),
    [
        (PARKED, Here("/other", "work", "2.1.197", 0), "its directory was /w, and is /other now"),
        (PARKED, Here("/w", None, "2.1.197", 0), "its account was work, and is the default now"),
        (PARKED, Here("/w", "work", "3.0.0", 0), "claude was 2.1.197 in its session, and is 3.0.0 now"),
        (replace(PARKED, state=SessionState.RETIRED, why="full"), HERE, "its session is retired: full"),
    ],
)
def test_it_does_not_go_on_elsewhere(session: Session, here: Here, why: str) -> None:
    assert obstacle(session, here) == why


@pytest.mark.parametrize("version", ["2.1.330", "2.2.0", None])
def test_another_version_of_the_same_major_goes_on_with_a_remark(version: str | None) -> None:
    here = Here("/w", "work", version, 0)
    assert obstacle(PARKED, here) == ""
    assert remark(PARKED, here) == (
        f"claude was 2.1.197 in this session before, and is {version} now" if version else ""
    )


@pytest.mark.parametrize(
    ("session", "now", "why"),
    [
        (PARKED, 12 * HOUR, "its session was 12 h old, and may be 12 h"),
        (replace(PARKED, turns=80), 0, "its session had 80 turns, and may have 80"),
        (replace(PARKED, context_tokens=150_000), 0, "its context was 75% full, and may be 75%"),
    ],
)
def test_the_policy_ends_it_at_its_limit(session: Session, now: int, why: str) -> None:
    assert worn(session, POLICY, now) == why
    assert worn(session, Policy(), now) == ""


def test_a_window_that_is_not_known_ends_nothing() -> None:
    assert worn(replace(PARKED, context_window=None, context_tokens=10**9), POLICY, 0) == ""


def test_an_agent_has_a_word_of_its_own_before_everybodys() -> None:
    common = SessionSettings(max_age="12h", max_turns=80)
    own = AgentSettings(sessions=SessionSettings(max_turns=5, handoff_tokens=0))
    settings = Settings(sessions=common)
    assert Policy.of(settings, own) == Policy(12 * HOUR, 5, 0, 0)
    assert Policy.of(settings, AgentSettings()) == Policy(12 * HOUR, 80, 0, 4_000)
