"""What happened of late, read along the indexes of what ended, what was submitted and what was paid."""

from __future__ import annotations

from collections.abc import Iterable

from engine.model import State
from engine.model.trend import Trend
from engine.store.writer import Transaction

LIMIT = 50_000  #: rows of one kind that are looked at: a glance must not become a count of everything

_ENDED = "SELECT ended_at, state FROM jobs WHERE ended_at IS NOT NULL AND ended_at >= ? ORDER BY ended_at DESC LIMIT ?"
# Ids are given in the order of submission, so that the newest are at the end of the table.
_SUBMITTED = "SELECT created_at FROM jobs ORDER BY id DESC LIMIT ?"
_PAID = "SELECT at, cost_micros, input_tokens + output_tokens FROM ledger WHERE at >= ? ORDER BY at DESC LIMIT ?"
_UNENDED = "SELECT sum(n) FROM counts WHERE name IN ('ready', 'blocked', 'running', 'gating')"


def trend(tx: Transaction, span: int, steps: int) -> Trend:
    """The last `span` milliseconds in so many steps."""
    step = max(1, span // steps)
    since = tx.now - step * steps
    ended = tx.connection.execute(_ENDED, (since, LIMIT)).fetchall()
    submitted = _since(since, (int(row[0]) for row in tx.connection.execute(_SUBMITTED, (LIMIT,))))
    paid = tx.connection.execute(_PAID, (since, LIMIT)).fetchall()

    def per_step(values: Iterable[tuple[int, int]]) -> list[int]:
        found = [0] * steps
        for at, value in values:
            found[min(max(0, (at - since) // step), steps - 1)] += value
        return found

    came = per_step((at, 1) for at in submitted)
    went = per_step((at, 1) for at, _ in ended)
    depth, now = [0] * steps, int(tx.connection.execute(_UNENDED).fetchone()[0] or 0)
    for place in reversed(range(steps)):
        depth[place] = max(0, now)
        now += went[place] - came[place]
    return Trend(
        since=since,
        step=step,
        done=per_step((at, 1) for at, state in ended if state == State.SUCCEEDED),
        failed=per_step((at, 1) for at, state in ended if state == State.FAILED),
        cost_micros=per_step((at, cost or 0) for at, cost, _ in paid),
        tokens=per_step((at, used) for at, _, used in paid),
        depth=depth,
        whole=max(len(ended), len(submitted), len(paid)) < LIMIT,
    )


def _since(since: int, times: Iterable[int]) -> list[int]:
    found = []
    for at in times:
        if at < since:
            break
        found.append(at)
    return found
