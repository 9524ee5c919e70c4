"""Rehearsals of every format through an engine that is killed again and again: each ends as it should, and the sums are
those that the stand-ins told.

`HEADWAY_SOAK_JOBS` and `HEADWAY_SOAK_KILLS` make it long: `make soak`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from engine.events import Event
from engine.model import Job, JobSpec, State, Workspace
from engine.rehearsal.fleet import is_as_rehearsed, make_project
from engine.rehearsal.scenario import FORMATS, split
from engine.server.client import Client
from engine.store.store import FILE
from tests.conftest import ENDS, Served, settings_file

pytestmark = pytest.mark.long


JOBS = int(os.environ.get("HEADWAY_SOAK_JOBS", "12"))
KILLS = int(os.environ.get("HEADWAY_SOAK_KILLS", "3"))
SECONDS = 1.5  #: between two kills
PATIENCE = 60 + 10 * JOBS

#: Without those that wait for a minute: a limit of which nobody tells the end.
SCENARIOS = ("crash", "fix-bug", "denied", "flaky-network", "limit", "write-docs", "tests", "refactor", "long-think")
SLOW = {"gemini/limit"}

Sums = Counter[str]
TOKENS = ("input", "output", "read", "written", "micros")


def jobs(project: Path) -> list[JobSpec]:
    models = [f"{format_}/{name}" for name, format_ in product(SCENARIOS, FORMATS) if f"{format_}/{name}" not in SLOW]
    return [
        JobSpec(
            prompt="go", title=f"{number}: {models[number % len(models)]}", agent="rehearsal",
            model=models[number % len(models)], project=str(project), workspace=Workspace.WORKTREE,
        )
        for number in range(JOBS)
    ]  # fmt: skip


async def test_every_format_survives_kills_of_the_engine_and_its_money_adds_up(served: Served, tmp_path: Path) -> None:
    make_project(tmp_path / "tally")
    settings_file(served.home, "max_running: 6\ngrace: 1\ncaps:\n  agent:rehearsal: 5\n")
    served.env["HEADWAY_REHEARSAL_SPEED"] = "6"
    served.start()
    async with Client(served.home) as client:
        ids = await client.submit(jobs(tmp_path / "tally"))
    for _ in range(KILLS):
        await asyncio.sleep(SECONDS)
        served.kill()
        served.start()
    async with asyncio.timeout(PATIENCE), Client(served.home) as client:
        left = set(ids)
        async for event in client.follow(0):
            if isinstance(event, Event) and isinstance(event.body, ENDS):
                left.discard(event.job or 0)
            if not left:
                break
        found = await client.rows(ids)
    wrong = [f"{job.title}: {job.state} {job.failure} {job.reason}" for job in found if not is_as_rehearsed(job)]
    assert not wrong, "\n".join(wrong)
    assert {job.state for job in found if (job.model or "").endswith("/crash")} == {State.SUCCEEDED}, "by a resume"
    told = {(job.id, number): sums for job in found for number, sums in said(served.home, job).items() if sums}
    kept = counted(served.home)
    off = [
        f"{key}: kept {kept.get(key)}, told {told.get(key)}"
        for key in sorted(told | kept)
        if kept.get(key) != told.get(key)
    ]
    assert not off, "\n".join(off)
    for job in found:
        sums = sum((one for (number, _), one in told.items() if number == job.id), Counter())
        assert (job.output_tokens, job.cost_micros or 0) == (sums["output"], sums["micros"]), job.title


def counted(home: Path) -> dict[tuple[int, int], Sums]:
    """The sums of each attempt, by job and number, in the engine's own ledger."""
    query = (
        "SELECT attempts.job, attempts.number, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, "
        "coalesce(usage.cost_micros, 0) FROM usage JOIN attempts ON attempts.id = usage.attempt"
    )
    sums: dict[tuple[int, int], Sums] = {}
    connection = sqlite3.connect(home / FILE)
    for job, number, *values in connection.execute(query):
        sums.setdefault((job, number), Counter()).update(dict(zip(TOKENS, values, strict=True)))
    connection.close()
    return {key: +one for key, one in sums.items() if +one}


def said(home: Path, job: Job) -> dict[int, Sums]:
    """What the stand-ins of a job told in each attempt, read from what they printed and not by a parser of ours."""
    format_ = split(job.model or "")[0] or "claude"
    runs = {int(path.name): path for path in (home / "runs" / str(job.id)).glob("[0-9]*")}
    printed = {number: lines(run / "stdout") for number, run in sorted(runs.items())}
    if format_ == "codex":
        return codex(printed, [lines(path) for path in sorted(runs[1].rglob("rollout-*.jsonl"))])
    tell = {"claude": claude, "opencode": opencode, "gemini": gemini}[format_]
    return {number: +tell(told) for number, told in printed.items()}


def lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def codex(printed: dict[int, list[dict[str, Any]]], threads: list[list[dict[str, Any]]]) -> dict[int, Sums]:
    """Every run that began was a turn of a thread; each thread's record tells its turns in order, and their total."""
    sums: dict[int, Sums] = {}
    for thread in threads:
        name = thread[0]["payload"]["id"]
        runs = [number for number, told in printed.items() if told and told[0]["thread_id"] == name]
        turns: dict[str, Sums] = {
            line["payload"]["turn_id"]: Counter() for line in thread if line["payload"].get("type") == "task_started"
        }
        assert len(turns) == len(runs)
        total: Sums = Counter()
        for line in thread:
            if line["type"] == "token_usage_record":
                turns[line["payload"]["turn_id"]] = of_codex(line["payload"]["turn_token_usage"])
                total = of_codex(line["payload"]["thread_token_usage"])
        assert sum(turns.values(), Counter()) == total
        sums.update(dict(zip(runs, turns.values(), strict=True)))
    return sums


def of_codex(used: dict[str, int]) -> Sums:
    cached = used["cached_input_tokens"]
    return +Counter(input=used["input_tokens"] - cached, output=used["output_tokens"], read=cached)


def claude(told: list[dict[str, Any]]) -> Sums:
    """What each result adds; of a run that was cut short, the calls as they began."""
    sums: Sums = Counter()
    calls: dict[str, Any] = {}
    for line in told:
        if line["type"] == "assistant" and line["message"]["model"] != "<synthetic>":
            calls[line["message"]["id"]] = line["message"]["usage"]
        elif line["type"] == "result":
            calls.clear()
            for used in line["model_usage_since_last_result"].values():
                sums.update(
                    input=used["inputTokens"], output=used["outputTokens"], read=used["cacheReadInputTokens"],
                    written=used["cacheCreationInputTokens"], micros=round(used["costUSD"] * 1e6),
                )  # fmt: skip
    for used in calls.values():
        sums.update(
            input=used["input_tokens"], output=used["output_tokens"], read=used["cache_read_input_tokens"],
            written=used["cache_creation_input_tokens"],
        )  # fmt: skip
    return sums


def opencode(told: list[dict[str, Any]]) -> Sums:
    sums: Sums = Counter()
    ended = [line["part"] for line in told if line["type"] == "step_finish"]
    for part in ended:
        used = part["tokens"]
        sums.update(input=used["input"], output=used["output"] + used["reasoning"], read=used["cache"]["read"])
    sums.update(micros=round(sum(part["cost"] for part in ended) * 1e6))
    return sums


def gemini(told: list[dict[str, Any]]) -> Sums:
    sums: Sums = Counter()
    for line in told:
        for used in line["stats"]["models"].values() if line["type"] == "result" else ():
            sums.update(
                input=used["input"], output=used["total_tokens"] - used["input_tokens"], read=used["cached"]
            )  # fmt: skip
    return sums
