"""From what a person asks for to what the store takes: all of it or none, and a reason that names its place."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from engine.config import AgentSettings, ProjectSettings, Settings
from engine.documents import DocumentError
from engine.documents.tree import lines_in
from engine.entry import PROMPT_LIMIT, TITLE_LENGTH
from engine.errors import EntryError, UsageError
from engine.job_file import read_job_file
from engine.model import JobSpec
from engine.plain import is_plain
from engine.store.submit import Accepted
from engine.submission import accept, accepted
from tests.engine.shapes import shape_of, written

NOW = 1_760_000_000_000
AGENTS = ("claude", "shell")
SETTINGS = Settings(
    agents={"claude": AgentSettings(model="opus")},
    projects={"root": ProjectSettings(path="/"), "gone": ProjectSettings(path="/nowhere/at/all")},
)


def one(**spec: object) -> Accepted:
    (found,) = accept([msgspec.convert({"prompt": "do it", **spec}, JobSpec)], SETTINGS, AGENTS, NOW)
    return found


def wrong(**spec: object) -> str:
    with pytest.raises(EntryError) as error:
        accept([JobSpec(prompt="fine"), JobSpec(**{"prompt": "do it", **spec})], SETTINGS, AGENTS, NOW)  # type: ignore[arg-type]
    assert error.value.entry == 1
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{error.value.key}: ")
    return str(error.value)


def test_what_is_not_said_is_filled_in() -> None:
    found = one()
    assert (found.agent, found.model, found.project, found.not_before) == ("claude", "opus", None, None)
    assert (found.title, found.spec.priority) == ("do it", 5)
    assert one(agent="shell").model is None
    assert one(model="haiku").model == "haiku"


def test_a_project_is_a_name_or_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert one(project="root").project == "/"
    assert one(project=str(tmp_path)).project == str(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert one(project="~").project == str(tmp_path)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"agent": "claud"}, "agent: there is no agent 'claud'; did you mean 'claude'?"),
        ({"agent": "\ud800"}, "agent: there is no agent"),
        ({"prompt": " \n\t"}, "prompt: it is empty"),
        ({"prompt": "a\0b"}, "prompt: it has a NUL character in it"),
        ({"prompt": "a\ud800b"}, "prompt: it is not valid UTF-8"),
        ({"prompt": "é" * (PROMPT_LIMIT // 2) + "x"}, "prompt: it is larger than 4 MiB"),
        ({"base": "main"}, "base: only the worktree of a project begins at a commit"),
        ({"title": "a\ud800b"}, "title: it is not valid UTF-8"),
        ({"model": "a\0b"}, "model: it has a NUL character in it"),
        ({"model": "\udcff"}, "model: it is not valid UTF-8"),
        ({"project": "roo"}, "project: there is no project 'roo'; did you mean 'root'?"),
        ({"project": "relative/path"}, "project: there is no project"),
        ({"project": "gone"}, "project: /nowhere/at/all is not a directory"),
        ({"project": "/etc/passwd"}, "project: /etc/passwd is not a directory"),
        ({"project": "~nobody-has-this-name"}, "project: there is no project"),
        ({"project": "/" + "a" * 5_000}, "cannot be reached: File name too long"),
        ({"project": "/\0"}, "project: it has a NUL character in it"),
        ({"not_before": "tomorrow"}, "not_before: 'tomorrow' is no time; write 15m"),
        ({"not_before": "-5m"}, "is no time"),
        ({"not_before": "5 weeks"}, "is no time"),
        ({"not_before": "2026-13-01"}, "is no time"),
        ({"not_before": "9" * 400 + "s"}, "is later than the year 9999"),
        ({"not_before": "999999d"}, None),
        ({"not_before": 1 << 70}, "is later than the year 9999"),
        ({"not_before": "9999-12-31T23:59-23:59"}, "is later than the year 9999"),
    ],
)
def test_what_cannot_be_accepted_names_entry_key_and_reason(spec: dict[str, object], said: str | None) -> None:
    if said is None:
        assert one(**spec).not_before is not None
    else:
        assert said in wrong(**spec)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("90s", NOW + 90_000),
        ("15m", NOW + 900_000),
        ("2 h", NOW + 7_200_000),
        (" 1d ", NOW + 86_400_000),
        ("1.5h", NOW + 5_400_000),
        ("0s", None),
        (NOW + 1, NOW + 1),
        (NOW, None),
        (0, None),
        (-5, None),
        ("2030-01-01", round(datetime(2030, 1, 1, tzinfo=UTC).timestamp() * 1000)),
        ("2030-01-01T07:00Z", round(datetime(2030, 1, 1, 7, tzinfo=UTC).timestamp() * 1000)),
        ("2030-01-01T07:00+02:00", round(datetime(2030, 1, 1, 5, tzinfo=UTC).timestamp() * 1000)),
        ("2001-01-01", None),
        ("0001-01-01T00:00+23:59", None),
    ],
)
def test_every_form_of_a_time(value: str | int, at: int | None) -> None:
    assert one(not_before=value).not_before == at


def test_a_time_without_a_zone_is_utc_wherever_the_engine_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    assert one(not_before="2030-01-01").not_before == 1_893_456_000_000


@pytest.mark.parametrize(
    ("title", "prompt", "shown"),
    [
        (None, "fix  the\n\tbug", "fix the bug"),
        ("Mine", "fix", "Mine"),
        (None, "x" * 200, "x" * (TITLE_LENGTH - 1) + "…"),
        (None, "x" * TITLE_LENGTH, "x" * TITLE_LENGTH),
        (None, "\x1b[31mred\u202e", "red"),
        ("   ", "the prompt", "the prompt"),
        ("\x01\x02", "the prompt", "the prompt"),
        (None, "\x01", "untitled"),
    ],
)
def test_a_title_is_one_printable_line_and_never_empty(title: str | None, prompt: str, shown: str) -> None:
    assert one(title=title, prompt=prompt).title == shown


def test_nothing_to_submit_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="no job"):
        accept([], SETTINGS, AGENTS, NOW)


def test_a_job_file_is_a_list_or_says_jobs() -> None:
    text = "- prompt: a\n- prompt: b\n  priority: 0\n"
    listed = read_job_file(text, "f.yaml")
    under = read_job_file("jobs:\n" + text, "f.yaml")
    assert listed.specs == under.specs == [JobSpec(prompt="a"), JobSpec(prompt="b", priority=0)]
    assert (listed.at, under.at) == ((), ("jobs",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- prompt: a\n- promt: b\n", "f.yaml, line 2: no key 'promt'; did you mean 'prompt'?"),
        ("- prompt: a\n- title: b\n", "f.yaml, line 2: 'prompt' is missing"),
        ("- prompt: ''\n", "f.yaml, line 1: prompt: expected text of length >= 1"),
        ("- prompt: a\n  priority: 12\n", "f.yaml, line 2: priority: expected int <= 9"),
        ("- prompt: a\n  title: yes\n", "f.yaml, line 2: title: expected text, got bool"),
        ("- a\n", "f.yaml, line 1: expected a mapping, got text"),
        ("job:\n- prompt: a\n", "f.yaml, line 1: no key 'job'; did you mean 'jobs'?"),
        ("jobs: 3\n", "f.yaml, line 1: jobs: expected a list, got int"),
        ("just words\n", "f.yaml, line 1: expected a mapping | a list, got text"),
        ("", "f.yaml, line 1: 'jobs' is missing"),
    ],
)
def test_one_bad_entry_refuses_the_file_and_names_its_line(text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        read_job_file(text, "f.yaml").check()
    assert said in str(error.value)


def test_an_error_of_the_engine_is_told_at_the_line_of_its_key() -> None:
    file = read_job_file("- prompt: a\n\n- prompt: b\n  agent: claud\n- prompt: c\n", "f.yaml")
    with pytest.raises(EntryError) as error:
        accept(file.specs, SETTINGS, AGENTS, NOW)
    file.add(error.value)
    file.add(EntryError("priority: x", 2, "priority"))
    with pytest.raises(UsageError) as told:
        file.check()
    assert str(told.value).split("\n") == [
        "f.yaml, line 4: agent: there is no agent 'claud'; did you mean 'claude'?",
        "f.yaml, line 5: priority: x",
    ], "an unset key stands at its entry's line"


FILE = """\
batch: all
jobs:
- {prompt: a, name: one, agent: claud, timeout: soon, after: [two]}
- {prompt: b, name: one, priority: 12, project: /nowhere/at/all}
- {promt: c, agent: clade}
then: {prompt: z, agent: shel, name: last}
"""


def test_every_mistake_of_a_file_is_told_at_once_whoever_finds_it() -> None:
    file = read_job_file(FILE, "f.yaml")
    with pytest.raises(EntryError) as error:
        accepted(file.wanted(file.specs), SETTINGS, AGENTS, NOW)
    file.add(error.value)
    with pytest.raises(UsageError) as told:
        file.check()
    assert str(told.value).replace("f.yaml, line ", "").split("\n") == [
        "3: jobs.agent: there is no agent 'claud'; did you mean 'claude'?",
        "3: jobs.timeout: 'soon' is no span of time; write 90s, 15m, 2h or 1d",
        "3: jobs.after: there is no job id and no entry named 'two'; there are one",
        "4: jobs.priority: expected int <= 9",
        "4: jobs.name: 'one' is the name of an earlier entry",
        "4: jobs.project: /nowhere/at/all is not a directory",
        "5: jobs: no key 'promt'; did you mean 'prompt'?",
        "5: jobs: 'prompt' is missing",
        "5: jobs.agent: there is no agent 'clade'; did you mean 'claude'?",
        "6: then.name: what follows a batch comes after all of it; remove this",
        "6: then.agent: there is no agent 'shel'; did you mean 'shell'?",
    ]


_WORDS = st.text(st.characters(), max_size=30)
_SPECS = st.builds(
    JobSpec,
    prompt=_WORDS,
    title=st.none() | _WORDS,
    agent=st.none() | st.sampled_from(AGENTS) | _WORDS,
    model=st.none() | _WORDS,
    project=st.none() | _WORDS.map(lambda text: "/" + text) | _WORDS | st.sampled_from(["~", "~x", "root"]),
    not_before=st.none() | st.integers() | _WORDS | st.from_regex(r"\d{1,500}(\.\d{1,9})?[smhd]", fullmatch=True),
)


@given(_SPECS)
@settings(max_examples=500, deadline=None)
def test_any_spec_is_accepted_and_can_be_stored_or_is_refused(spec: JobSpec) -> None:
    try:
        (found,) = accept([spec], SETTINGS, AGENTS, NOW)
    except EntryError:
        return
    msgspec.json.encode(found)
    assert found.title
    assert is_plain(found.title)
    assert "\n" not in found.title
    if found.not_before is not None:
        datetime.fromtimestamp(found.not_before / 1000, UTC)
    os.fsencode(found.project or "")


@given(st.lists(shape_of(JobSpec), min_size=1, max_size=3), st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_file_of_jobs_is_accepted_or_told_with_lines_that_are_in_it(data: list[object], under: bool) -> None:
    text = written({"jobs": data} if under else data)
    file = read_job_file(text, "f.yaml")
    try:
        accepted(file.wanted(file.specs), SETTINGS, AGENTS, NOW)
    except EntryError as error:
        file.add(error)
    try:
        file.check()
    except DocumentError as error:
        assert all(one.line is not None and 1 <= one.line <= lines_in(text) for one in error.mistakes), str(error)
    else:
        assert file.is_right
