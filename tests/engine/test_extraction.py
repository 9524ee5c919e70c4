"""A model reads ended jobs and proposes what is worth remembering: bounded, redacted, with where it comes from."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from engine.config import AgentSettings, MemorySettings, Settings
from engine.config.memory import ExtractSettings
from engine.engine import Engine
from engine.memory.item import Item, Kind, Standing
from engine.model import JobSpec
from engine.runner.run_dir import run_dir
from engine.serving import serving
from tests.conftest import PATIENCE
from tests.runner.living import ended, rehearsal, submit

FOUND = {
    "text": "The tests of the parser need LC_ALL=C.",
    "kind": "fact",
    "subject": "parser tests",
    "evidence": "l. 3",
}
KEY = "sk-a-key-that-nobody-may-read"


def configured(tmp_path: Path, said: str, **options: object) -> Settings:
    model = tmp_path / "reads.yaml"
    model.write_text(json.dumps({"about": "reads", "steps": [{"do": "say", "text": said}]}))
    extract = ExtractSettings(target=f"rehearsal:{model}", **options)  # type: ignore[arg-type]
    agent = AgentSettings(env={"HEADWAY_REHEARSAL_SPEED": "0"})
    return Settings(grace=1.0, agents={"rehearsal": agent}, memory=MemorySettings(extract=extract))


async def begun(engine: Engine) -> None:
    """Until it follows the log: what ended before is not read."""
    async with asyncio.timeout(PATIENCE):
        while await engine.memory.word("extracted") is None:
            await asyncio.sleep(0)


async def proposed(engine: Engine, count: int) -> list[Item]:
    async with asyncio.timeout(PATIENCE):
        while len(found := await engine.memory.items(after=0)) < count:
            await asyncio.sleep(0)
    return found


async def test_what_is_found_is_proposed_with_where_it_comes_from_and_once(home: Path, tmp_path: Path) -> None:
    said = json.dumps({"found": [FOUND, {**FOUND, "text": "It is kept in parser/, and owned by team Falcon."}]})
    work = rehearsal(tmp_path, [{"do": "run", "command": f"echo {KEY}; exit 3"}, {"do": "say", "text": f"done {KEY}"}])
    async with serving(home, configured(tmp_path, said)) as engine:
        engine.secrets.learn([KEY])
        await begun(engine)
        (job,) = await submit(engine, JobSpec(prompt="mend the parser", agent="rehearsal", model=work))
        await ended(engine, job)
        first, second = await proposed(engine, 2)
        assert (first.kind, first.standing, first.subject) == (Kind.FACT, Standing.PROPOSED, "parser tests")
        assert second.standing is Standing.PROPOSED, "what was not accepted takes the place of nothing"
        assert (first.source.by, first.source.job, first.source.attempt) == ("extraction", job, 1)
        assert first.source.evidence == ["runs/1/1", "read by J2", "l. 3"]
        asked = (run_dir(home, 2, 1).path / "prompt").read_text()
        assert "mend the parser" in asked and "failed" in asked and KEY not in asked
        reading = await engine.row(2)
        assert (reading.kind, reading.priority) == ("memory", 9)
        (again,) = await submit(engine, JobSpec(prompt="mend it again", agent="rehearsal", model=work))
        await ended(engine, again)
        while not any("said again by J3" in one.source.evidence for one in await engine.memory.items(after=0)):
            await asyncio.sleep(0)
        assert len(await engine.memory.items(after=0)) == 2, "what is known already is merged"
        assert "what-is-known" not in (run_dir(home, 4, 1).path / "prompt").read_text()


@pytest.mark.parametrize("options", [{"most": 0}, {"daily": 0}])
async def test_no_more_is_read_than_the_day_allows(home: Path, tmp_path: Path, options: dict[str, object]) -> None:
    async with serving(home, configured(tmp_path, "{}", **options)) as engine:
        await begun(engine)
        work = rehearsal(tmp_path, [{"do": "say", "text": "done"}])
        (job,) = await submit(engine, JobSpec(prompt="mend the parser", agent="rehearsal", model=work))
        await ended(engine, job)
        async with asyncio.timeout(PATIENCE):
            while int(await engine.memory.word("extracted") or 0) < engine.hub.seq:
                await asyncio.sleep(0)
        assert (await engine.status()).counts.succeeded == 1 and await engine.list_jobs("kind:memory", 10) == []
