"""The tax of real stores: it comes to what was spent, and says for what."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import msgspec
import pytest

from engine.drill import ours
from engine.errors import UsageError
from engine.model import Failure
from engine.model.tax import VAIN, Part, Spent, Tax
from engine.money import By, SpendLine
from engine.rehearsal.day import Plan, read
from engine.server.client import Client
from engine.store import Store
from engine.store import spend as spends
from engine.store.spend import Span
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
    vain = [one for part, one in found.parts.items() if part in VAIN]
    assert sum(one.vain.tokens for one in found.failures) == sum(one.tokens for one in vain)
    assert money([one.vain for one in found.failures]) == money(vain)


async def test_a_day_s_tax_and_what_was_useful_are_all_that_was_spent(tmp_path: Path) -> None:
    day = msgspec.structs.replace(read("weather"), crashes=0.4)
    await ours.play(Plan.of(day, 5, 60), tmp_path)
    store = await Store.open(tmp_path)
    try:
        found = await store.look(lambda tx: tax(tx, 0))
        spent, _ = await store.read.spend_since(0)
        adds_up(found)
        assert found.all.cost_micros == spent
        span = Span(0, 1 << 60)
        for by, slices in ((By.DAY, found.days), (By.PROJECT, found.projects)):
            lines = {one.name: one for one in await store.look(partial(spends.lines, by=by, span=span))}
            for one in slices:
                told = lines[one.name] if one.all.tokens else SpendLine(name=one.name, attempts=0)
                assert one.all.cost_micros == told.cost_micros, "each day and project is what `spend` says of it"
                assert one.all.tokens == told.told_tokens + told.output_tokens
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
        jobs += await client.submit([shell("true", kind="judge")])
        await served.until_ended(jobs)
        found = await client.tax("all")
        adds_up(found)
        assert (found.all.attempts, found.tax.attempts) == (3, 2)
        assert set(found.parts) == {Part.FAILED, Part.REVIEW}, "what did not happen has no line"
        one = await client.tax("all", str(repository))
        assert (one.all.attempts, [part.name for part in one.projects]) == (2, [str(repository)])
        with pytest.raises(UsageError, match="no project 'api'"):
            await client.tax("all", "api")
        spent = await client.spend(By.DAY, "all")
        assert found.all.tokens == spent.total.told_tokens + spent.total.output_tokens
        with pytest.raises(UsageError, match="is no time"):
            await client.tax("soon")
    told = served.headway("tax", "--since", "1h", "--project", str(repository))
    lines = [line.split() for line in told.stdout.splitlines()]
    assert ["all", "2", "0", "-", "-", "-"] in [line[:6] for line in lines]
    assert ["failed", "1"] in [line[:2] for line in lines]
    assert served.json("tax", "--since", "2020-01-01")["all"]["attempts"] == 3  # type: ignore[index]
