"""The tax of real stores: it comes to what was spent, and says for what."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from engine.clock import now_ms
from engine.drill import ours
from engine.errors import UsageError
from engine.model import Failure
from engine.model.tax import Part, Spent, Tax
from engine.rehearsal.day import Plan, read
from engine.server.client import Client
from engine.store import Store
from engine.tax.read import tax
from tests.conftest import Served, shell


_LEFT = "SELECT job, was, count(*) FROM moves WHERE attempt IS NOT NULL GROUP BY job, was"


def money(parts: list[Spent]) -> int:
    return sum(one.cost_micros or 0 for one in parts)


def adds_up(found: Tax) -> None:
    """Useful and tax are all, and so are the days, the projects and the classes of failure."""
    parts = list(found.parts.values())
    for name in ("attempts", "tokens", "ms"):
        whole = getattr(found.all, name)
        assert getattr(found.tax, name) == sum(getattr(one, name) for one in parts)
        assert getattr(found.useful, name) + getattr(found.tax, name) == whole
        for slices in (found.days, found.projects):
            assert sum(getattr(one.all, name) for one in slices) == whole
            assert sum(getattr(one.tax, name) for one in slices) == getattr(found.tax, name)
    assert money([found.tax]) == money(parts)
    assert money([found.useful, found.tax]) == money([found.all])
    handed = found.parts.get(Part.HAND_OFFS, Spent())
    assert sum(one.vain.tokens for one in found.failures) == found.tax.tokens - handed.tokens
    assert money([one.vain for one in found.failures]) == money([found.tax]) - money([handed])


async def test_a_day_s_tax_and_what_was_useful_are_all_that_was_spent(tmp_path: Path) -> None:
    day = msgspec.structs.replace(read("weather"), crashes=0.4)
    await ours.play(Plan.of(day, 5, 60), tmp_path)
    store = await Store.open(tmp_path)
    try:
        found = await store.look(lambda tx: tax(tx, 0))
        spent, _ = await store.read.spend_since(0)
        adds_up(found)
        assert found.all.cost_micros == spent
        assert sum(one.attempts for one in found.failures if one.failure is Failure.CRASHED) > 0
        limited = next(one for one in found.failures if one.failure is Failure.RATE_LIMITED)
        moved = await store.look(lambda tx: tx.connection.execute(_LEFT).fetchall())
        assert limited.vain.attempts <= sum(times for *_, times in moved), (
            "all sessions went on but those that a move has left"
        )
        assert all(times <= 2 for _, _, times in moved), "nothing goes to and fro for ever"
        assert limited.waited_ms > 0
        later = found.since + day.begins.timestamp() * 1000 + 4 * 3_600_000
        part = await store.look(lambda tx: tax(tx, round(later)))
        adds_up(part)
        assert 0 < part.all.tokens < found.all.tokens
    finally:
        await store.close()


async def test_the_engine_tells_the_tax_of_a_project(served: Served, repository: Path) -> None:
    served.start()
    async with Client(served.home) as client:
        jobs = await client.submit([shell("true", project=str(repository)), shell("exit 3", project=str(repository))])
        jobs += await client.submit([shell("true")])
        await served.until_ended(jobs)
        found = await client.tax(0)
        adds_up(found)
        assert (found.all.attempts, found.tax.attempts) == (3, 1)
        assert set(found.parts) == {Part.FAILED}, "what did not happen has no line"
        one = await client.tax(0, str(repository))
        assert (one.all.attempts, [part.name for part in one.projects]) == (2, [str(repository)])
        with pytest.raises(UsageError, match="no project 'api'"):
            await client.tax(0, "api")
        assert (await client.tax(now_ms() + 60_000)).all == Spent()
    told = served.headway("tax", "--since", "1h", "--project", str(repository))
    lines = [line.split() for line in told.stdout.splitlines()]
    assert ["all", "2", "0", "-", "-", "-"] in [line[:6] for line in lines]
    assert ["failed", "1"] in [line[:2] for line in lines]
    assert served.json("tax", "--since", "2020-01-01")["all"]["attempts"] == 3  # type: ignore[index]
    assert "write a span" in served.headway("tax", "--since", "soon").stderr
