"""Whether a job may start: each reason alone and together, and caps that are kept without leaving a slot idle."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.dispatch.eligibility import Snapshot, choose, reasons
from engine.model import UNFINISHED, State
from engine.store.rows import JobRow

NOW = 1_760_000_000_000
FREE = Snapshot(now=NOW, running={}, slots=2, caps={})


def job(number: int = 1, *, agent: str = "claude", state: State = State.READY, **fields: object) -> JobRow:
    ended = None if state in UNFINISHED else NOW
    return JobRow(
        id=number, state=state, title="t", agent=agent, model=None, project=None, priority=5, created_at=0,
        ended_at=ended, **fields,  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_ready_job_and_a_free_slot_need_no_reason() -> None:
    assert reasons(job(), FREE) == []


@pytest.mark.parametrize(
    ("one", "world", "why"),
    [
        (job(), replace(FREE, draining=True), "the engine is draining: nothing new starts"),
        (job(), replace(FREE, held_all="ann"), "everything is held by ann; `headway release --all` ends it"),
        (job(7, held_by="ann"), FREE, "held by ann; `headway release 7` ends it"),
        (job(not_before=NOW + 1), FREE, "not before 2025-10-09 08:53:20 UTC"),
        (job(), replace(FREE, caps={"claude": 1}, running={"claude": 1}), "1 of 1 claude attempts run"),
        (job(), replace(FREE, caps={"claude": 0}), "0 of 0 claude attempts run"),
        (job(), replace(FREE, running={"shell": 2}), "2 of 2 attempts run"),
        (job(), replace(FREE, slots=0), "0 of 0 attempts run"),
    ],
)
def test_each_reason_is_a_line_that_says_what_ends_it(one: JobRow, world: Snapshot, why: str) -> None:
    assert reasons(one, world) == [why]


def test_all_reasons_are_told_at_once() -> None:
    world = Snapshot(NOW, {"claude": 2}, 2, {"claude": 2}, "ann", True)
    assert len(reasons(job(held_by="ann", not_before=NOW + 1), world)) == 6


@pytest.mark.parametrize("state", sorted(set(State) - {State.READY, State.BLOCKED}))
def test_what_runs_or_has_ended_waits_for_nothing(state: State) -> None:
    world = Snapshot(NOW, {"claude": 2}, 2, {"claude": 2}, "ann", True)
    assert reasons(job(state=state, held_by="ann"), world) == []


def test_a_time_that_has_come_is_no_reason_and_a_cap_of_another_agent_neither() -> None:
    assert reasons(job(not_before=NOW), FREE) == []
    assert reasons(job(), replace(FREE, caps={"shell": 0})) == []


def test_free_slots_are_never_fewer_than_none() -> None:
    crowded = Snapshot(NOW, {"claude": 5}, 2, {"claude": 1})
    assert crowded.free("claude") == crowded.free("shell") == 0
    assert Snapshot(NOW, {"claude": 1}, 9, {"claude": 3}).free("claude") == 2
    assert Snapshot(NOW, {"claude": 1}, 9, {}).free("claude") == 8


_AGENTS = st.sampled_from(["claude", "codex", "shell"])
_WORLDS = st.builds(
    Snapshot,
    now=st.just(NOW),
    running=st.dictionaries(_AGENTS, st.integers(0, 3)),
    slots=st.integers(0, 9),
    caps=st.dictionaries(_AGENTS, st.integers(0, 4)),
    held_all=st.sampled_from([None, None, None, "ann"]),
    draining=st.sampled_from([False, False, False, True]),
)
_QUEUES = st.lists(
    st.tuples(_AGENTS, st.sampled_from([None, None, NOW - 1, NOW + 1]), st.sampled_from([None, None, None, "ann"])),
    max_size=25,
)


@given(_QUEUES, _WORLDS)
def test_caps_are_kept_and_no_eligible_job_is_left_while_a_slot_is_free(
    queue: list[tuple[str, int | None, str | None]], world: Snapshot
) -> None:
    rows = [job(n, agent=agent, not_before=at, held_by=held) for n, (agent, at, held) in enumerate(queue)]
    chosen = choose(rows, world)
    begun = Counter(row.agent for row in chosen)

    assert chosen == [row for row in rows if row in chosen], "in the order of the queue"
    assert all(not reasons(row, world) for row in chosen), "what the operator reads is what is acted on"
    assert len(chosen) <= max(0, world.slots - world.total)
    for agent, count in begun.items():
        assert count <= world.free(agent)
        assert agent not in world.caps or world.running.get(agent, 0) + count <= world.caps[agent]

    after = world
    for row in chosen:
        after = after.with_one_more(row.agent)
    for row in rows:
        if row not in chosen:
            assert reasons(row, after), f"{row.agent} {row.id} could have started"
