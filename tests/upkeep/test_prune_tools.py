"""What agents called, reported and submitted is noted once, told by the log, and goes with its job."""

from __future__ import annotations

import dataclasses

import pytest

from engine import events as log
from engine.errors import RefusedError
from engine.store import kin, submit, tools
from engine.store.tools import Answered, Called, Parent
from tests.store.samples import accepted
from tests.upkeep.samples import Bench


async def attempt_with_calls(bench: Bench, *, days: float = 40) -> tuple[int, int]:
    """A job whose agent called a tool, reported and submitted a job, and its attempt."""
    now, bench.now = bench.now, bench.now - round(days * 86_400_000)
    job = await bench.submit()
    attempt = await bench.start(job)
    called = Called(attempt, "a-1", "recall", "what do the tests need")
    for _ in range(2):  # a call that comes again is noted once
        await bench.store.write(lambda tx: tools.note(tx, called, Answered(True, "TZ=UTC")))
    await bench.store.write(lambda tx: tools.report(tx, attempt, "half", 0.5))
    child = dataclasses.replace(accepted("child"), parent=Parent(attempt, 1, 9))
    await bench.store.write(lambda tx: submit.submit(tx, [child]))
    await bench.settle(attempt)
    bench.now = now
    return job, attempt


async def test_what_was_called_is_told_and_remembered(bench: Bench) -> None:
    job, attempt = await attempt_with_calls(bench)
    assert await bench.store.look(lambda tx: tools.answer_of(tx, attempt, "a-1")) == Answered(True, "TZ=UTC")
    told = await bench.store.look(lambda tx: tools.of_job(tx, job))
    assert (told.parent, told.children, told.reports[attempt].line) == (None, [job + 1], "half")
    bodies = [event.body for event in await bench.store.read.events(0, 100, job)]
    assert [type(one) for one in bodies].count(log.ToolCalled) == 1
    kept, rows = bench.told_and_kept()
    assert kept == rows
    with pytest.raises(RefusedError, match="has been settled already"):
        await bench.store.write(lambda tx: tools.report(tx, attempt, "late", None))


async def test_it_goes_with_its_job(bench: Bench) -> None:
    old, _ = await attempt_with_calls(bench)
    young, attempt = await attempt_with_calls(bench, days=2)
    await bench.prune()
    assert old not in bench.ids() and young in bench.ids()
    assert bench.ask("SELECT attempt FROM tool_calls") == bench.ask("SELECT attempt FROM reports") == [(attempt,)]
    assert (await bench.store.look(lambda tx: kin.kinship(tx, young + 1))).parent == young
