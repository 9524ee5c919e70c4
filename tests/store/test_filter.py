"""The filter language: every form it has, and no text at all that reaches SQLite as anything but a value."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.model import Failure, State, Verb
from engine.model.listing import FILTER_KEYS, FILTER_MEASURES, FILTER_SHORT
from engine.store.claims import claim
from engine.store.filter import _COLUMNS, _MEASURES, EVERYTHING, parse
from engine.store.jobs import Launched, launched, settle
from engine.store.submit import submit
from engine.store.verbs import Request, act
from tests.store.samples import accepted, connect, failure, first, success, transaction


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """Six jobs: 1 failed, 2 succeeded, 3 running, 4 held, 5 and 6 ready."""
    one = connect(Path(tmp_path_factory.mktemp("filter")) / "headway.db")
    tx = transaction(one)
    submit(
        tx,
        [
            accepted("fix the bug", agent="claude", model="opus", project="/src/api", priority=0),
            accepted("write docs", agent="claude", model="sonnet", project="/src/web", priority=1),
            accepted("run tests", agent="shell", project="/src/api", priority=2),
            accepted("fix 100% of it", agent="claude", priority=3),
            accepted("a_b\\c", agent="codex", priority=3),
            accepted('it\'s "quoted" Müll', agent="codex", priority=4),
        ],
    )
    ends = {1: failure(), 2: success(), 3: None}
    for agent in ("claude", "claude", "shell"):
        (got,) = claim(tx, first(tx, 1, agent), lambda _: False, "boot")
        launched(tx, got.attempt.id, Launched(1, None, "/w", None, None))
        if (end := ends[got.job.id]) is not None:
            settle(tx, got.attempt.id, end)
    act(tx, Request(Verb.HOLD, [4], "ann"))
    yield one
    one.close()


def matching(connection: sqlite3.Connection, text: str) -> list[int]:
    chosen = parse(text)
    states = ", ".join(f"'{state}'" for state in chosen.states)
    found = connection.execute(f"SELECT id, state IN ({states}) FROM jobs WHERE {chosen.where}", chosen.values)
    rows = found.fetchall()
    assert all(possible for _, possible in rows), "`states` left out a state that matches"
    return sorted(job for job, _ in rows)


@pytest.mark.parametrize(
    ("text", "jobs"),
    [
        ("", [1, 2, 3, 4, 5, 6]),
        ("   ", [1, 2, 3, 4, 5, 6]),
        ("state:failed", [1]),
        ("state:failed,succeeded", [1, 2]),
        ("state:failed state:succeeded", []),
        ("!state:ready", [1, 2, 3]),
        ("!state:failed !state:ready", [2, 3]),
        ("st:running", [3]),
        ("agent:claude,codex", [1, 2, 4, 5, 6]),
        ("agent:claude !state:ready", [1, 2]),
        ("!agent:claude", [3, 5, 6]),
        ("model:opus", [1]),
        ("!model:opus", [2, 3, 4, 5, 6]),
        ("project:api", [1, 3]),
        ("repo:WEB", [2]),
        ("!project:api", [2, 4, 5, 6]),
        ("class:crashed", [1]),
        ("failure:crashed", [1]),
        ("!class:crashed", [2, 3, 4, 5, 6]),
        ("fix", [1, 4]),
        ("FIX bug", [1]),
        ("!fix", [2, 3, 5, 6]),
        ("title:docs,tests", [2, 3]),
        ("docs,tests", [2, 3]),
        ("'fix the'", [1]),
        ('title:"the bug"', [1]),
        ("id:2", [2]),
        ("id:2,J3,j1", [1, 2, 3]),
        ("4", [4]),
        ("J4", [4]),
        ("j4", [4]),
        ("0004", [4]),
        ("!4 fix", [1]),
        ("!id:1,2,3", [4, 5, 6]),
        ("held:ann", [4]),
        ("!held:ann", [1, 2, 3, 5, 6]),
        ("title:12", []),
        ("Müll", [6]),
        ("id:99", []),
        ("attempts:>0.5", [1, 2, 3]),
        ("priority:>0.6", [2, 3, 4, 5, 6]),
        ("cost:-inf", []),
        ("priority:>-1e400", [1, 2, 3, 4, 5, 6]),
        ("tokens:<inf", [1, 2, 3, 4, 5, 6]),
        ("priority>2", [4, 5, 6]),
        ("p<=1", [1, 2]),
        ("!prio>=3 attempts=1", [1, 2, 3]),
        ("model:!opus", [2, 3, 4, 5, 6]),
        ("model:!opus,!sonnet", [3, 4, 5, 6]),
        ("agent:claude,codex,!codex", [1, 2, 4]),
        ("state:!failed,!ready", [2, 3]),
        ("!state:!failed", [1]),
        ("w:opus", [1]),
        ("worker:claude:", [1, 2]),
        ("/^fix/", [1, 4]),
        ("/FIX .*BUG$/", [1]),
        ("!/fix/ st:ready", [5, 6]),
        ("st:failed /the bug/", [1]),
        ("/[0-9]+%/", [4]),
        ("a>b", []),
        ("src/api", []),
    ],
)
def test_every_form(connection: sqlite3.Connection, text: str, jobs: list[int]) -> None:
    assert matching(connection, text) == jobs


@pytest.mark.parametrize(("text", "jobs"), [("%", [4]), ("_", [5]), ("a_b", [5]), ("'a_b\\c'", [5]), ("0%", [4])])
def test_the_wildcards_of_like_mean_themselves(connection: sqlite3.Connection, text: str, jobs: list[int]) -> None:
    assert matching(connection, text) == jobs


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("state:faild", "no state 'faild'; did you mean failed?"),
        ("state:zzz", "no state 'zzz'; there are blocked,"),
        ("class:crash", "no class 'crash'; did you mean crashed?"),
        ("stat:failed", "no key 'stat'; did you mean state:?"),
        ("zzz:1", "no key 'zzz'; there are state,"),
        (":x", "no key ''"),
        ("state:", "state: needs a value, such as state:failed"),
        ("state:,,", "needs a value"),
        ("!", "needs a value"),
        ("id:seven", "id:seven is not a job id"),
        ("id:²", "is not a job id"),
        ("1²", None),
        ("id:" + "9" * 19, "is not a job id"),
        ("'open", "a quote is not closed"),
        ("\\", "a quote is not closed"),
        ("\ud800", "filter:"),
        ("title:a\udcffb", "filter:"),
        (" ".join("a" * 2_000), "filter:"),
        (",".join("a" * 2_000), "filter:"),
        ("a" * 60_000, "filter:"),
        ("state:failed fix stat:x", "filter: in 'stat:x': no key 'stat'; did you mean state:?"),
        ("fix cost>much", "filter: in 'cost>much': '>much' is no cost; write cost:>0.5"),
        ("/(a/", "/(a/ is no pattern"),
        ("/(a+)+b/", "a repeat within a repeat"),
        ("/(a|aa)*b/", "a choice within a repeat"),
        ("/a*b*c*d*e*f/", "repeats too much"),
        (r"/(a)\1/", "cannot refer back"),
        (f"/{'a' * 300}/", "more than 200 characters"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(connection: sqlite3.Connection, text: str, said: str | None) -> None:
    if said is None:
        assert matching(connection, text) == []
        return
    with pytest.raises(UsageError) as wrong:
        matching(connection, text)
    assert said in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_the_longest_filter_that_is_taken_is_within_the_limits_of_sqlite(connection: sqlite3.Connection) -> None:
    for text in (" ".join("a" * 400), ",".join("a" * 400), "%" * 4_000, "\U0001f9ed" * 4_000):
        matching(connection, text)


_WORDS = st.sampled_from(
    [*_COLUMNS, *_MEASURES, *FILTER_SHORT, *State, *Failure, "J", "%", "_", "\\", "'", '"', "\0", "--", ";", "²"]
)
_TEXT = st.lists(st.one_of(_WORDS, st.sampled_from([":", ",", "!", " ", "(", "7"]), st.text(max_size=5))).map("".join)
_ANY = st.text(st.characters(), max_size=60)  # lone surrogates included


@given(st.one_of(_TEXT, _ANY))
@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("title:\0")
@example("!" * 50)
@example("id:" + "J" * 5)
@example("state:failed" * 3)
def test_any_text_is_a_filter_or_a_usage_error(connection: sqlite3.Connection, text: str) -> None:
    try:
        matching(connection, text)
    except UsageError as wrong:
        assert str(wrong).startswith("filter:")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_quoted_text_finds_exactly_the_titles_that_hold_it(connection: sqlite3.Connection, text: str) -> None:
    if "," in text or "\0" in text:
        return
    quoted = "title:" + "".join(f"\\{c}" if c in "\"\\'" or c.isspace() else c for c in text)
    titles = dict(connection.execute("SELECT id, title FROM jobs").fetchall())
    fold = str.maketrans({chr(c): chr(c).lower() for c in range(ord("A"), ord("Z") + 1)})
    wanted = sorted(job for job, title in titles.items() if text.translate(fold) in title.translate(fold))
    assert matching(connection, quoted) == wanted


def test_what_a_console_can_offer_is_what_the_language_has() -> None:
    assert (set(FILTER_KEYS), set(FILTER_MEASURES)) == (set(_COLUMNS), set(_MEASURES))
    assert set(FILTER_SHORT.values()) <= {*_COLUMNS, *_MEASURES}


def test_no_filter_is_everything() -> None:
    assert parse("") is EVERYTHING


def test_what_a_pattern_may_mean_in_a_later_python_is_written_over_no_screen(
    recwarn: pytest.WarningsRecorder, connection: sqlite3.Connection
) -> None:
    assert matching(connection, "/[[a-z]--x/") == []
    assert not recwarn.list
