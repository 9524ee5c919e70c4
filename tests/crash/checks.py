"""The books of an engine that is dead, against themselves and against what a test was told."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from engine import events as log
from engine.events import Event
from engine.model import State
from engine.runner import procfs
from engine.runner.tree import MARKER
from engine.store.fold import rebuild
from engine.store.rows import SELECT_JOB, JobRow, job_row
from engine.store.store import FILE
from tests.crash.ledger import ENDS, Ledger
from tests.crash.work import FAILS, Lines, sort_of

PARTS = (FILE, f"{FILE}-wal", f"{FILE}-shm")
_EVENTS = "SELECT seq, at, job, attempt, body FROM events ORDER BY seq"
_UNENDED = "SELECT job, id FROM attempts WHERE ended_at IS NULL"
#: A blocked job waits for one that has not ended, and knows how the others ended.
_WRONG_OUTCOMES = (
    "SELECT d.job, d.needs, d.outcome, j.state FROM dependencies AS d JOIN jobs AS j ON j.id = d.needs "
    "JOIN jobs AS waiting ON waiting.id = d.job WHERE waiting.state = 'blocked' "
    "AND ifnull(d.outcome, '') NOT IN ('overruled', iif(j.state IN ('succeeded', 'failed', 'cancelled'), j.state, ''))"
)
_BLOCKED_BY_NOTHING = (
    "SELECT id FROM jobs WHERE state = 'blocked' AND NOT EXISTS "
    "(SELECT 1 FROM dependencies WHERE job = jobs.id AND outcome IS NULL)"
)


@contextmanager
def copied(home: Path, to: Path) -> Iterator[sqlite3.Connection]:
    """A copy of the database, so that looking at it recovers nothing that its engine should have to recover."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    for part in PARTS:
        if (home / part).exists():
            shutil.copyfile(home / part, to / part)
    connection = sqlite3.connect(to / FILE)
    try:
        yield connection
    finally:
        connection.close()


def sound(connection: sqlite3.Connection) -> dict[int, JobRow]:
    """The table of jobs, once it and all that is derived from it have been found to agree."""
    ask = connection.execute
    assert ask("PRAGMA integrity_check").fetchall() == [("ok",)]
    rows = {row.id: row for row in map(job_row, ask(SELECT_JOB))}
    assert rebuild(connection) == rows, "the log tells another table of jobs"
    counted = Counter(str(row.state) for row in rows.values())
    counted["held"] = sum(row.held_by is not None and row.ended_at is None for row in rows.values())
    kept = {name: n for name, n in ask("SELECT name, n FROM counts") if n}
    assert kept == {name: n for name, n in counted.items() if n}, "the counters are wrong"
    running = {row.id: row.attempt for row in rows.values() if row.state is State.RUNNING}
    assert dict(ask(_UNENDED).fetchall()) == running, "each running job has just one attempt without an end"
    assert ask(_WRONG_OUTCOMES).fetchall() == []
    assert ask(_BLOCKED_BY_NOTHING).fetchall() == []
    return rows


def markers(connection: sqlite3.Connection) -> set[str]:
    return {str(row[0]) for row in connection.execute("SELECT marker FROM attempts")}


def nothing_is_missing(ledger: Ledger, rows: dict[int, JobRow], jobs_ever: int) -> None:
    """Each job that was answered is there, or was pruned after it had ended."""
    missing = {job for job in ledger.acknowledged - rows.keys() if job not in ledger.jobs or not ledger.jobs[job].ended}
    known = [event for event in ledger.events.values() if event.job in missing]
    assert not missing, f"jobs {sorted(missing)} were acknowledged and are not there; of them is known: {known}"
    assert all(job <= jobs_ever for job in ledger.acknowledged)


def told_as_logged(connection: sqlite3.Connection, ledger: Ledger, rows: dict[int, JobRow]) -> None:
    """What was shown in the event stream is what the log has, all of it and nothing else."""
    body = msgspec.json.Decoder(log.AnyBody).decode
    kept = {
        seq: Event(seq=seq, at=at, job=job, attempt=attempt, body=body(text))
        for seq, at, job, attempt, text in connection.execute(_EVENTS)
        if seq <= ledger.seq
    }
    there = {seq: event for seq, event in ledger.events.items() if event.job is None or event.job in rows}
    assert there == kept
    assert rows.keys() <= ledger.jobs.keys()
    assert len(ledger.jobs) - len(rows) == ledger.pruned, "what is not there was pruned"
    done = dict(connection.execute("SELECT id, undone_at IS NOT NULL FROM actions"))
    assert ledger.actions | ledger.undone <= done.keys(), "an action that was answered is not there"
    assert all(done[action] for action in ledger.undone)


def answered_as_kept(ledger: Ledger) -> None:
    """Each submission is there just once where it was answered, and otherwise whole or not at all."""
    there = Counter(told.title for told in ledger.jobs.values())
    assert not [title for title, times in there.items() if times > 1]
    for sent in ledger.sent:
        specs = [*sent.wanted.jobs, *([sent.wanted.then] if sent.wanted.then else [])]
        found = {spec.title in there for spec in specs if spec.key is None}
        if sent.answer is None:
            assert sent.wanted.token is None, "it was sent again until it was answered"
            assert len(found) <= 1, f"half of {sent.wanted} is there"
            continue
        assert found <= {True}
        ids = [*sent.answer.ids, *([sent.answer.follow_up] if sent.answer.follow_up else [])]
        for job, spec in zip(ids, specs, strict=True):
            told = ledger.jobs[job]
            assert told.title == spec.title or (spec.key is not None and told.key == spec.key), (job, spec, told)


def each_ended_once(ledger: Ledger) -> None:
    """The ledger has refused a second end without a second chance; here each has had its first."""
    assert [job for job, told in ledger.jobs.items() if not told.ended] == []
    ends = Counter(event.job for event in ledger.events.values() if isinstance(event.body, ENDS))
    assert ends.keys() == ledger.jobs.keys()
    for job, count in ends.items():
        assert job is not None
        assert count <= 1 + ledger.jobs[job].chances


def each_ran_once(connection: sqlite3.Connection, ledger: Ledger, lines: Lines) -> None:
    """No attempt began twice, no two of a job were at work at once, and none ran again that may not be repeated."""
    assert lines.twice == []
    begun = [marker for attempts in lines.started.values() for marker in attempts]
    assert len(begun) == len(set(begun)), "an attempt was started twice"
    assert set(lines.ended.values()) <= {1}
    specs = {spec.title: spec for sent in ledger.sent for spec in (*sent.wanted.jobs, sent.wanted.then) if spec}
    chances = {told.title: told.chances for told in ledger.jobs.values()}
    for title, attempts in lines.started.items():
        spec = specs[title]
        if not spec.repeatable and spec.project is None:
            assert len(attempts) <= 1 + chances[title], f"{title} ran {len(attempts)} times"


def each_failed_as_it_must(connection: sqlite3.Connection, ledger: Ledger) -> None:
    """No death of an engine is taken for one of an agent, and none is caused by it."""
    for title, began, failure, reason in connection.execute(
        "SELECT title, attempts.started_at IS NOT NULL, attempts.failure, attempts.reason "
        "FROM attempts JOIN jobs ON jobs.id = attempts.job WHERE attempts.failure IS NOT NULL"
    ):
        wanted = FAILS.get(sort_of(title)) if began else "engine_lost"
        assert failure == wanted or title in ledger.edited, f"{title}: {failure}, {reason}"


def each_success_ran_to_its_end(connection: sqlite3.Connection, ledger: Ledger, lines: Lines) -> None:
    """What counts as done has done what it was asked for."""
    for title, marker in connection.execute(
        "SELECT title, marker FROM attempts JOIN jobs ON jobs.id = attempts.job WHERE succeeded = 1"
    ):
        if title not in ledger.edited:
            assert lines.ended[marker] == 1, f"{title} counts as done, and did not come to its end"


def nothing_lives(markers: set[str], place: Path) -> None:
    """No process of an attempt is left, and none that works for this home or in it."""
    marks = {f"{MARKER}={marker}".encode() for marker in markers}
    where = str(place).encode()
    left = {}
    for pid, process in procfs.processes().items():
        words = b"\0".join(_read(pid, name) for name in ("cmdline", "environ"))
        if not process.is_gone and (marks & set(words.split(b"\0")) or where in words or _works_in(pid, str(place))):
            left[pid] = words[:200]
    assert left == {}


def no_defect_was_logged(file: Path) -> None:
    """What an engine meets after a crash is no surprise to it."""
    said = file.read_text(errors="replace").splitlines()
    met = next((number for number, line in enumerate(said) if line.startswith("Traceback")), None)
    assert met is None, "\n".join(said[met - 1 : met + 120])


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _works_in(pid: int, place: str) -> bool:
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink()).startswith(place)
    except OSError:
        return False
