"""Lines that people type: filters, cron lines, times, amounts, names of things."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from console.cli.memory_desk import moment_of, numbers, scopes_of
from console.cli.verbs import job_ids
from engine.budgets import Amount
from engine.config import Settings
from engine.config.schedules import wrong_in
from engine.entry import moment, project_of, title_of
from engine.errors import HeadwayError
from engine.memory.terms import fts5, terms_of
from engine.model import JobSpec
from engine.model import Target as Names
from engine.orders import checked_scope, filter_of, sort_of
from engine.schedule import ScheduleSpec
from engine.spend.report import since_of
from engine.store import schema
from engine.store.pattern import teach
from engine.timetable import in_words, times, upcoming
from engine.units import milliseconds, size
from tests.fuzz.contract import told
from tests.fuzz.target import Form, Read, Target, plain

NOW = 1_790_000_000_000
_TITLES = ("fix the bug", "a" * 400, "a" * 30 + "b", "")


@contextlib.contextmanager
def _filters() -> Iterator[Read]:
    """Each filter is also asked of a table, where its pattern meets titles."""
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(schema.open_writer(Path(folder) / "db")) as jobs:
        teach(jobs)
        for title in _TITLES:
            jobs.execute(
                "INSERT INTO jobs (state, title, agent, priority, created_at, spec_seq) "
                "VALUES ('ready', ?, 'claude', 5, 1, 1)",
                (title,),
            )

        def read(data: bytes) -> None:
            found = filter_of(data.decode("utf-8", "surrogateescape"), Settings(), NOW)
            jobs.execute(f"SELECT id FROM jobs WHERE {found.where}", found.values).fetchall()

        yield read


def _cron(data: bytes) -> None:
    spec = ScheduleSpec(cron=data.decode("utf-8", "surrogateescape"), job=JobSpec(prompt="p"))
    wrong = [why for _, why in wrong_in(spec)]
    for why in wrong:
        told(why)
    if not wrong:
        told(in_words(spec.cron))
        for zone in ("UTC", "Europe/Berlin"):
            list(islice(times(spec.cron, zone, NOW), 3))
        upcoming("s", spec, "UTC", NOW, NOW, 3)


#: What reads one word, and raises `ValueError` in plain words where it is none.
_PLAIN: tuple[Callable[[str], object], ...] = (milliseconds, size, Amount.parse)
_DOORS: tuple[Callable[[str], object], ...] = (
    lambda word: moment(word, NOW),
    lambda word: since_of(word, NOW),
    lambda word: moment_of(word, "--until"),
    lambda word: numbers([word]),
    lambda word: scopes_of([word]),
    lambda word: job_ids([word]),
    lambda word: sort_of(word),
    lambda word: checked_scope(word, Settings(), ("claude",)),
    lambda word: project_of(JobSpec(prompt="p", project=word), Settings()),
    lambda word: list(wrong_in(ScheduleSpec(cron="* * * * *", zone=word, jitter=word, job=JobSpec(prompt="p")))),
    lambda word: told(title_of(JobSpec(prompt=word, title=word))),
    lambda word: Names.parse(word),
)


def _phrases(data: bytes) -> None:
    word = data.decode("utf-8", "surrogateescape")
    for read in _PLAIN:
        with contextlib.suppress(_SaidError):
            _ask(read, word)
    for door in _DOORS:
        try:
            door(word)
        except HeadwayError as error:
            told(error.message)


class _SaidError(Exception):
    """It was refused, in plain words."""


def _ask(read: Callable[[str], object], word: str) -> None:
    try:
        read(word)
    except ValueError as error:
        told(str(error))
        if "write " not in str(error) and "more than" not in str(error):
            raise
        raise _SaidError from None


@contextlib.contextmanager
def _searches() -> Iterator[Read]:
    """What is looked for in memory, as FTS5 is asked for it."""
    with contextlib.closing(sqlite3.connect(":memory:")) as found:
        found.execute("CREATE VIRTUAL TABLE words USING fts5(text)")
        found.executemany("INSERT INTO words VALUES (?)", [(title,) for title in _TITLES])

        def read(data: bytes) -> None:
            terms = terms_of(data.decode("utf-8", "replace"))
            if terms:
                found.execute("SELECT rowid FROM words WHERE words MATCH ?", (fts5(terms),)).fetchall()

        yield read


_FILTERS = (
    b"st:failed class:timeout age>1h project:api !title words", b"model:!opus,sonnet cost>0.5 p<3 id:12,J13 4",
    b"/^fix .*bug$/ tag:gpu !st:ready,running", b"worker:claude target:claude:opus@work held:operator batch:3",
    b"title:'two words' attempts>=2 tokens>100000 triage:bug kind:x route:large key:k schedule:s",
)  # fmt: skip
_CRONS = (b"*/15 9-17 * * MON-FRI", b"0 0 1,15 * 5L", b"30 2 L 2 FRI#2", b"@daily", b"5 4 LW 1-12/2 0", b"0 0 29 2 *")
_PHRASES = (
    b"15m", b"1.5h", b"2026-01-31T07:00Z", b"2026-01-31", b"20260131T070000+0230", b"today", b"all", b"500M",
    b"2GiB", b"$2.50",
    b"200k tokens", b"1,000.5", b"12", b"J12", b"3-7", b"#12-14", b"-cost", b"agent:claude", b"account:claude@work",
    b"global",
    b"project:.", b"project:~/x", b"persona:a", b"Europe/Berlin", b"claude:opus@work", b"/tmp", b"~", b"2026-W05-3",
)  # fmt: skip

TARGETS = (
    Target(
        "filter", Form.WORDS, lambda: _FILTERS, _filters, (b"/", b"(a|b)*", b"a{9}", b"(?i)", b"\\d", b"!", b",", b">")
    ),
    Target("cron", Form.WORDS, lambda: _CRONS, plain(_cron), (b"L", b"W", b"#", b"/", b"-", b"@", b"SUN", b" ")),
    Target("phrases", Form.WORDS, lambda: _PHRASES, plain(_phrases), (b"T", b"+00:00:00.000001", b"W", b"-7")),
    Target(
        "search", Form.WORDS, lambda: (b"how is the bug fixed", b'"a b" OR c*', b"x NEAR y"), _searches, (b"AND", b"^")
    ),
)
