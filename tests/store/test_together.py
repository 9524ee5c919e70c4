"""What waits for the same commit is written together: it comes to the same as one after the other."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.agents.base import Outcome
from engine.dispatch.budget import Budget
from engine.dispatch.settling import Ending, Rules, Settle
from engine.errors import RefusedError
from engine.model import Failure, OnFailure, Usage
from engine.store import claims, fold, submit
from engine.store.rows import JobRow
from engine.store.submit import Accepted, Admission, Needs, Submission
from engine.store.writer import Transaction
from tests.store.samples import accepted, connect, first, table, transaction

pytestmark = pytest.mark.long

RULES = Rules(3, Budget(10, 30_000))
WELL = Ending(Outcome(succeeded=True, result="done", usage=(Usage(model="m", input_tokens=3),)), 0)
BADLY = Ending(Outcome(succeeded=False, failure=Failure.BAD_OUTPUT, reason="no"), 1)
LIMITED = Ending(Outcome(succeeded=False, failure=Failure.RATE_LIMITED, reason="later", session="s"), 1, provider=True)

shapes = st.lists(
    st.tuples(
        st.sampled_from(["plain", "two", "key", "after", "token", "batch"]),
        st.integers(0, 2),
        st.sampled_from(["shell", "claude"]),
    ),
    min_size=1,
    max_size=8,
)


def wanted(shape: tuple[str, int, str], number: int) -> Submission:
    what, which, agent = shape
    one = accepted(f"job {number}", agent=agent, priority=4 + which)
    match what:
        case "plain":
            return Submission([one])
        case "two":
            return Submission([one, accepted("other", agent=agent)])
        case "key":
            spec = replace(one.spec, key=f"key {which}")
            return Submission([Accepted(spec, one.title, one.agent, None, None, None)])
        case "after":
            spec = replace(one.spec, on_failure=OnFailure.RUN)
            needs = Needs(ids=(1,))
            return Submission([Accepted(spec, one.title, one.agent, None, None, None, all_of=needs)])
        case "token":
            return Submission([one], token=f"token {which}", digest="the same")
        case _:
            return Submission([one], batch="nightly", follow_up=accepted("then"))


def told(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    """What stands in the tables but for what differs by chance: markers, and the order of the log."""
    tables = {
        "attempts": "id, job, number, ended_at, exit_code, succeeded, failure, reason, session, unknown_lines",
        "usage": "attempt, model, input_tokens",
        "dependencies": "job, needs, any_of, outcome",
        "counts": "name, n",
        "lanes": "agent, project, priority, open",
        "submissions": "token, ids",
        "batches": "id, follow_up",
    }
    return [
        (name, *row)
        for name, columns in tables.items()
        for row in connection.execute(f"SELECT {columns} FROM {name} ORDER BY {columns}")
    ]


def shown(row: JobRow) -> tuple[object, ...]:
    return (row.state, row.title, row.priority, row.agent, row.attempts, row.failure, row.unique_key, row.batch,
            row.input_tokens, row.tries, row.waits)  # fmt: skip


@given(shapes)
@settings(max_examples=60, deadline=None)
def test_together_comes_to_the_same_as_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[str, int, str]]
) -> None:
    seen = []
    for together in (False, True):
        connection = connect(tmp_path_factory.mktemp("store") / "headway.db")
        tx = transaction(connection)
        first_job = submit.submit(tx, [accepted("the first")])
        operations = [Admission(wanted(shape, number)) for number, shape in enumerate(asked)]
        answers = Admission.together(tx, operations) if together else [one(tx) for one in operations]
        ids = [job for answer in answers for job in answer.ids]
        assert first_job == [1]
        titles = {job: row.title for job, row in table(connection).items()}
        given_out = [*claim(tx, "shell"), *claim(tx, "claude")]
        settles = [Settle(one.attempt.id, WELL, RULES) for one in given_out]
        if together:
            Settle.together(tx, settles)
        else:
            for one in settles:
                one(tx)
        tx.write_counts()
        rows = table(connection)
        assert rows == fold.rebuild(connection), "the log tells the table"
        assert len(titles) == len(rows)
        seen.append((len(ids), sorted(map(str, map(shown, rows.values())))))
        connection.close()
    assert seen[0] == seen[1]


def claim(tx: Transaction, agent: str) -> list[claims.Claim]:
    """Every job of an agent that can start."""
    return claims.claim(tx, first(tx, 100, agent), lambda _: False, "boot")


@given(st.permutations(range(5)), st.lists(st.sampled_from([WELL, BADLY, LIMITED]), min_size=5, max_size=5))
@settings(max_examples=30, deadline=None)
def test_ends_written_together_leave_the_same_tables(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], ends: list[Ending]
) -> None:
    seen = []
    for together in (False, True):
        connection = connect(tmp_path_factory.mktemp("store") / "headway.db")
        tx = transaction(connection)
        submit.submit(tx, [accepted(f"job {number}") for number in range(5)])
        submit.submit(tx, [Accepted(accepted().spec, "next", "shell", None, None, None, all_of=Needs((1, 2, 3)))])
        given_out = claim(tx, "shell")
        settles = [Settle(given_out[place].attempt.id, end, RULES) for place, end in zip(order, ends, strict=True)]
        if together:
            Settle.together(tx, settles)
        else:
            for one in settles:
                one(tx)
        tx.write_counts()
        seen.append((told(connection), [shown(row) for row in table(connection).values()]))
        connection.close()
    assert seen[0] == seen[1]


def test_a_late_writer_is_refused_among_others_too(tmp_path: Path) -> None:
    connection = connect(tmp_path / "headway.db")
    tx = transaction(connection)
    submit.submit(tx, [accepted(), accepted()])
    one, other = claim(tx, "shell")
    Settle(one.attempt.id, WELL, RULES)(tx)
    with pytest.raises(RefusedError, match="settled already"):
        Settle.together(tx, [Settle(other.attempt.id, WELL, RULES), Settle(one.attempt.id, BADLY, RULES)])
    with pytest.raises(RefusedError, match="settled once"):
        Settle.together(tx, [Settle(other.attempt.id, WELL, RULES), Settle(other.attempt.id, WELL, RULES)])
