"""What attempts were given of skills is noted once, counted, told by the log, and goes with its job."""

from __future__ import annotations

import pytest

from engine import events as log
from engine.errors import RefusedError
from engine.model import Failure
from engine.skills.skill import Given, How, Source
from engine.store import given
from tests.upkeep.samples import Bench

READ = Given(name="read", how=How.NATIVE, reason="the job names it", source=Source.USER, sha256="a" * 64, used=False)
TOLD = Given(name="told", how=How.PROMPT, reason="it matched", score=9.5, tokens=700)
OUT = Given(name="out", how=How.LEFT_OUT, reason="it matched", note="no room")


async def attempt_with_skills(bench: Bench, *, days: float = 40, failure: Failure | None = None) -> tuple[int, int]:
    now, bench.now = bench.now, bench.now - round(days * 86_400_000)
    job = await bench.submit()
    attempt = await bench.start(job)
    for _ in range(2):  # an engine that adopts an attempt notes it once more
        await bench.store.write(lambda tx: given.note(tx, attempt, [READ, TOLD, OUT]))
        await bench.store.write(lambda tx: given.used(tx, attempt, {"read", "unheard-of"}))
    await bench.settle(attempt, failure=failure)
    bench.now = now
    return job, attempt


async def test_what_was_given_is_told_and_counted(bench: Bench) -> None:
    job, attempt = await attempt_with_skills(bench)
    await attempt_with_skills(bench, failure=Failure.CRASHED)
    told = (await bench.store.look(lambda tx: given.of_job(tx, job)))[1]
    assert [(one.name, one.how, one.used) for one in told] == [
        ("read", How.NATIVE, True),
        ("told", How.PROMPT, None),
        ("out", How.LEFT_OUT, None),
    ]
    assert told[1].score == 9.5 and told[0].source is Source.USER and told[2].note == "no room"
    counts = {one.name: one for one in await bench.store.look(given.counts)}
    read, out = counts["read"], counts["out"]
    assert (read.given, read.used, read.succeeded, read.failed, read.used_succeeded) == (2, 2, 1, 1, 1)
    assert (counts["told"].given, counts["told"].told, counts["told"].used) == (2, 2, 0)
    assert (out.given, out.left_out, out.succeeded) == (0, 2, 0)
    bodies = [event.body for event in await bench.store.read.events(0, 100, job)]
    assert [type(one) for one in bodies].count(log.SkillsUsed) == 1, "what is known already is no news"
    kept, rows = bench.told_and_kept()
    assert kept == rows
    with pytest.raises(RefusedError, match="has been settled already"):
        await bench.store.write(lambda tx: given.note(tx, attempt, [READ]))


async def test_it_goes_with_its_job(bench: Bench) -> None:
    await attempt_with_skills(bench)
    young, _ = await attempt_with_skills(bench, days=2)
    await bench.prune()
    assert bench.ids() == [young]
    assert bench.ask("SELECT count(*) FROM skills_given") == [(3,)]
