"""Exports: every job and event once, in forms that other programs read, in bounded memory."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.errors import NotFoundError, RefusedError, UsageError
from engine.model import Attempt, Failure, Job, JobSpec
from engine.store import schema
from engine.store.filter import EVERYTHING, Filter, parse
from engine.store.store import FILE
from engine.upkeep import export as module
from engine.upkeep.export import Format, What, export, utc
from tests.upkeep.samples import NOW, Bench, usage

AWKWARD = "say \"hi\", then\r\n=cmd|' /C calc'!A0\nçé漢 \t;"


def exported(bench: Bench, what: What, form: Format, chosen: Filter = EVERYTHING) -> bytes:
    return b"".join(export(bench.home / FILE, what, form, chosen))


def objects(bench: Bench, what: What, chosen: Filter = EVERYTHING) -> list[dict[str, Any]]:
    return [json.loads(line) for line in exported(bench, what, Format.NDJSON, chosen).splitlines()]


def rows(bench: Bench, what: What, chosen: Filter = EVERYTHING) -> list[dict[str, str]]:
    text = exported(bench, what, Format.CSV, chosen).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_jobs_with_their_attempts_and_usage(bench: Bench) -> None:
    job = await bench.ended(usage(1_500), usage(None, "haiku"), title="Fix it", project="/src/a")
    waiting = await bench.submit("wait", spec=JobSpec(prompt="wait\nfor it", tags=["b", "a"], not_before="2h"))
    first, second = objects(bench, What.JOBS)
    assert set(Job.__struct_fields__) <= set(first["job"])
    assert set(Attempt.__struct_fields__) <= set(first["attempts"][0])
    assert (first["job"]["id"], first["job"]["title"], first["job"]["project"]) == (job, "Fix it", "/src/a")
    assert [(u["model"], u["cost_micros"]) for u in first["attempts"][0]["usage"]] == [("haiku", None), ("opus", 1_500)]
    assert (second["job"]["id"], second["spec"]["prompt"], second["attempts"]) == (waiting, "wait\nfor it", [])
    assert (second["job"]["tags"], second["job"]["ended_at_utc"]) == (["a", "b"], None)


async def test_times_are_in_milliseconds_and_in_words(bench: Bench) -> None:
    await bench.ended(days=0)
    (one,) = objects(bench, What.JOBS)
    for record in (one["job"], one["attempts"][0]):
        assert (record["ended_at"], record["ended_at_utc"]) == (NOW, "2025-10-09T12:00:00.000Z")
    assert utc(0) == "1970-01-01T00:00:00.000Z"
    assert utc(1) == "1970-01-01T00:00:00.001Z"
    assert utc(1 << 62) == "9999-12-31T23:59:59.999Z"


async def test_awkward_text_comes_through_csv_as_it_is(bench: Bench) -> None:
    await bench.ended(title=AWKWARD)
    (row,) = rows(bench, What.JOBS)
    assert row["title"] == AWKWARD
    assert json.loads(row["spec"])["prompt"] == AWKWARD
    assert json.loads(row["attempt_list"])[0]["succeeded"] is True
    assert row["model"] == "opus"
    assert row["failure"] == "", "what is not there is an empty cell"
    assert exported(bench, What.JOBS, Format.CSV).startswith(b"id,state,title,")
    assert exported(bench, What.JOBS, Format.CSV).endswith(b"\r\n")


@pytest.mark.parametrize("title", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])
async def test_no_spreadsheet_computes_what_a_title_says(bench: Bench, title: str) -> None:
    await bench.ended(usage(-5), title=title)
    (row,) = rows(bench, What.JOBS)
    assert row["title"] == f"'{title}"
    assert row["cost_micros"] == "-5", "numbers stay numbers"


async def test_every_line_of_csv_has_the_same_columns(bench: Bench) -> None:
    await bench.ended(usage(), title=AWKWARD)
    await bench.submit()
    for what in What:
        text = exported(bench, what, Format.CSV).decode()
        widths = {len(row) for row in csv.reader(io.StringIO(text, newline=""))}
        assert len(widths) == 1


async def test_events_in_their_order_with_what_they_say(bench: Bench) -> None:
    job = await bench.ended(usage(7))
    found = objects(bench, What.EVENTS)
    assert [event["body"]["kind"] for event in found] == ["submitted", "claimed", "launched", "succeeded"]
    assert [event["seq"] for event in found] == sorted(event["seq"] for event in found)
    assert {event["job"] for event in found} == {job}
    assert found[0]["at_utc"].endswith("Z")
    flat = rows(bench, What.EVENTS)
    assert [row["kind"] for row in flat] == ["submitted", "claimed", "launched", "succeeded"]
    assert json.loads(flat[3]["body"])["usage"][0]["cost_micros"] == 7


async def test_a_filter_chooses_jobs_and_the_events_of_such_jobs(bench: Bench) -> None:
    await bench.ended()
    failed = await bench.ended(failure=Failure.CRASHED, title="broken thing")
    await bench.ended()
    for text in ("state:failed", "broken", f"J{failed}", "class:crashed age:>10d agent:claude"):
        chosen = parse(text, NOW)
        assert [one["job"]["id"] for one in objects(bench, What.JOBS, chosen)] == [failed], text
        assert {one["job"] for one in objects(bench, What.EVENTS, chosen)} == {failed}, text
        assert [row["id"] for row in rows(bench, What.JOBS, chosen)] == [str(failed)], text
    for form in Format:
        with pytest.raises(NotFoundError, match="there are no such jobs, and nothing was written"):
            exported(bench, What.JOBS, form, parse("state:running"))


@pytest.mark.parametrize("what", list(What))
async def test_pages_meet_without_a_gap_or_an_overlap(
    bench: Bench, what: What, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(23):
        await bench.ended(failure=Failure.CRASHED if number % 4 else None)
    whole = objects(bench, what)
    some = objects(bench, what, parse("state:failed"))
    for size in (1, 300, 2_000):
        monkeypatch.setattr(module, "PAGE_BYTES", size)
        assert objects(bench, what) == whole
        assert objects(bench, what, parse("state:failed")) == some
    monkeypatch.undo()
    for name in ("_JOBS", "_EVENTS"):
        monkeypatch.setattr(module, name, getattr(module, name).replace("LIMIT 500", "LIMIT 5"))
    monkeypatch.setattr(module, "PAGE", 5)
    assert objects(bench, what) == whole
    assert objects(bench, what, parse("state:failed")) == some


async def test_what_comes_in_meanwhile_is_left_out_and_ends_the_export(bench: Bench) -> None:
    for _ in range(3):
        await bench.ended()
    lines = export(bench.home / FILE, What.EVENTS, Format.NDJSON)
    first = next(lines)
    for _ in range(3):
        await bench.ended()
    assert len([first, *lines]) == 12


async def test_a_slow_reader_does_not_keep_the_engine_from_tidying_its_journal(bench: Bench) -> None:
    await bench.ended()
    lines = export(bench.home / FILE, What.JOBS, Format.NDJSON)
    next(lines)
    await bench.ended()
    with closing(sqlite3.connect(bench.home / FILE)) as connection:
        busy, frames, moved = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert (busy, frames, moved) == (0, 0, 0)
    assert list(lines) == []


async def test_memory_stays_bounded_however_long_the_prompts_are(bench: Bench) -> None:
    for _ in range(40):
        await bench.submit("x", spec=JobSpec(prompt="y" * 1_000_000))
    tracemalloc.start()
    size = sum(map(len, export(bench.home / FILE, What.JOBS, Format.NDJSON)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 40_000_000
    assert peak < 16_000_000


async def test_a_database_of_another_version_is_not_guessed_at(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for form in Format:
        with pytest.raises(NotFoundError, match="there is no database in"):
            next(export(tmp_path / FILE, What.JOBS, form))
    old = tmp_path / FILE
    with closing(sqlite3.connect(old, isolation_level=None)) as connection:
        schema.migrate(connection, schema.migrations()[:1])
    with pytest.raises(RefusedError, match=r"older Headway: its schema is 1.*headway serve"):
        list(export(old, What.JOBS, Format.NDJSON))


def test_a_wrong_filter_says_what_is_wrong() -> None:
    with pytest.raises(UsageError, match="did you mean state"):
        parse("stat:failed")
