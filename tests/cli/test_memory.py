"""`headway memory` as a person uses it: beside an engine, and without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from console.cli.app import application
from engine.errors import HeadwayError, RefusedError, UsageError
from tests.conftest import Served, settings_file


@pytest.fixture(params=["served", "alone"])
def desk(request: pytest.FixtureRequest, served: Served, monkeypatch: pytest.MonkeyPatch) -> Served:
    """A home whose memory is asked through its engine, or by the command itself."""
    settings_file(served.home, "projects: {api: {path: /src/api}}\n")
    monkeypatch.setenv("ZEBRA_API_KEY", "zebraquux-0123456789")
    if request.param == "served":
        served.start()
    return served


def run(served: Served, *words: str, stdin: str | None = None) -> Result:
    """The command in this process: a hundred starts of Python would take longer than all else here."""
    return CliRunner().invoke(application(["memory"]), ["--home", str(served.home), "memory", *words], input=stdin)


def say(served: Served, *words: str, stdin: str | None = None) -> str:
    done = run(served, *words, stdin=stdin)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def data(served: Served, *words: str) -> Any:
    return json.loads(say(served, *words, "--json"))


def test_a_life_of_something_that_is_remembered(desk: Served, tmp_path: Path) -> None:
    port = ("--scope", "project:api", "--subject", "api port")
    assert say(desk, "add", "the API listens on port 8080", *port) == "1  added: the API listens on port 8080\n"
    assert "would be merged" in say(desk, "add", "The API listens on port 8080.", *port, "--dry-run")
    assert say(desk, "add", "the API listens on 8443", *port).startswith("2  added, in the place of 1: ")
    origin = ("--job", "J3", "--evidence", "a.py:3")
    say(desk, "remember", "-", "--kind", "decision", *origin, stdin="no deploys on fridays\n")
    listed = say(desk, "list")
    assert "superseded by 2" in listed and "no deploys on fridays" in listed
    assert [one["id"] for one in data(desk, "list", "--scope", "project:api", "--standing", "active")] == [2]
    explained = say(desk, "explain", "which", "port", "does", "the", "API", "listen", "on")
    head, first, second, *_ = explained.splitlines()
    for name in ("SCORE", "RELEVANCE", "WORDS", "MEANING", "RECENCY", "IMPORTANCE", "TRUST", "STANDING"):
        assert name in head
    assert first.split()[0] == "2" and second.split()[0] == "1" and "superseded" in second
    found = data(desk, "search", "when do we deploy")
    assert found["parts"][0]["item"]["text"] == "no deploys on fridays" and found["model"]
    shown = say(desk, "show", "3")
    assert "decision, holds" in shown and "operator, J3" in shown and "a.py:3" in shown
    say(desk, "verify", "3", "--verify-by", "30d")
    say(desk, "edit", "3", "no deploys on fridays or before holidays", "--importance", "0.9")
    assert data(desk, "show", "3")["item"]["importance"] == 0.9
    say(desk, "retract", "1-2")
    assert data(desk, "search", "port")["parts"] == []
    say(desk, "restore", "2")
    out = tmp_path / "memory.md"
    say(desk, "export", "--format", "markdown", "--output", str(out))
    assert "## 2 fact, api port" in out.read_text()
    forgot = say(desk, "forget", "2")
    assert "forgot 1 thing" in forgot
    assert "brought in 1 thing; 2 were there already" in say(desk, "import", str(out))
    assert len(say(desk, "export").splitlines()) == 3
    assert "3 things in sqlite" in say(desk, "status")


def test_core_files_are_shown_written_and_capped(desk: Served, tmp_path: Path) -> None:
    assert say(desk, "core") == ""
    say(desk, "core", "--append", "- be brief")
    assert say(desk, "core", "global", "--append", "- key zebraquux-0123456789") == "- be brief\n- key [key]\n"
    say(desk, "core", "project:api", "--file", "-", stdin="- make test\n")
    assert data(desk, "core", "project:api")["text"] == "- make test"
    long = tmp_path / "long.md"
    long.write_text("- x\n" * 100)
    refused = run(desk, "core", "--file", str(long)).exception
    assert isinstance(refused, RefusedError) and "100 lines" in refused.message and "core_lines" in refused.message
    say(desk, "core", "--file", "-", stdin="\n")
    assert not (desk.home / "memory" / "global.md").exists()


def test_memory_moves_to_the_other_backend_and_back(desk: Served) -> None:
    say(desk, "add", "the API listens on port 8080")
    before = data(desk, "list")
    assert "1 things are in lancedb" in say(desk, "migrate", "--to", "lancedb")
    assert "1 thing in lancedb" in say(desk, "status")
    assert data(desk, "search", "API", "port")["parts"][0]["item"]["id"] == 1
    say(desk, "migrate", "--to", "sqlite")
    assert data(desk, "list") == before
    assert not (desk.home / "memory.lance").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("add", "x", "--scope", "project:nothing"), 2, "there is no project 'nothing'"),
        (("add", "x", "--kind", "fakt"), 2, "did you mean 'fact'?"),
        (("add", "  "), 2, "nothing to remember"),
        (("add", "x" * 9_000), 2, "9,000 characters"),
        (("add", "x", "--expires", "soon"), 2, "no time"),
        (("show", "7"), 4, "number 7"),
        (("show", "seven"), 2, "no number"),
        (("forget", "7"), 4, "number 7"),
        (("supersede", "1"), 2, "--by"),
        (("migrate", "--to", "lance"), 2, "lancedb"),
        (("import", "/nowhere/at/all"), 4, "no file"),
        (("export", "--format", "xml"), 2, "ndjson"),
        (("list", "--standing", "activ"), 2, "did you mean 'active'?"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(served: Served, words: tuple[str, ...], code: int, said: str) -> None:
    served.home.mkdir(mode=0o700)
    error = run(served, *words).exception
    assert isinstance(error, HeadwayError), error
    assert error.exit_code == code and said in error.message and "\n" not in error.message


def test_the_command_itself_ends_with_the_line_and_the_code(served: Served) -> None:
    served.home.mkdir(mode=0o700)
    done = served.headway("memory", "show", "7")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "headway: nothing with the number 7 is remembered; `headway memory list` shows what is\n"


def test_asking_makes_no_home(served: Served) -> None:
    assert say(served, "search", "x") == ""
    assert data(served, "list") == []
    assert not served.home.exists()


def test_show_tells_what_a_job_is_told_before_and_after_it_ran(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(served.home.parent)  # what is submitted elsewhere works in a worktree of where it is
    served.env["HEADWAY_REHEARSAL_SPEED"] = "0"
    served.start()
    say(served, "add", "the docs are written in British English")
    say(served, "core", "--append", "- be brief")
    served.headway("hold", "--all")
    done = served.headway("submit", "--agent", "rehearsal", "--model", "write-docs", "write the docs")
    assert done.stdout.strip() == "1"
    before = served.headway("show", "1", "--context", "--texts").stdout
    assert before.startswith("J1 on rehearsal:write-docs: what its next attempt would be told now, ")
    assert "| - be brief" in before and "British English" in before and "words 1.00" in before
    served.headway("release", "--all")
    served.headway("logs", "-f", "1")
    told = served.headway("show", "1", "--context").stdout
    assert told.startswith("J1 on rehearsal:write-docs: what attempt 1 was told, ")
    assert "[1] fact, global: words 1.00" in told and "word for word: " in told
    pieces = json.loads(served.headway("show", "1", "--context", "--json").stdout)["context"]["pieces"]
    assert [one["part"] for one in pieces] == ["core", "recalled", "task"]
    assert "J1 attempt 1" in say(served, "show", "1")
    assert "told to   J1 attempt 1" in say(served, "forget", "1")


def test_a_wrong_setting_is_refused_with_its_line(served: Served) -> None:
    for text, said in (
        ("memory: {learn: on}", "say what: outcomes, or off"),
        ("memory: {embedder: endpoint}", "base_url"),
        ("memory: {embedder: minilm}", "memory.tokenizer"),
        ("memory: {weights: {half_life: never}}", "no span of time"),
        ("memory: {weights: {text: 0, vector: 0}}", "nothing would be found"),
        ("memory: {weights: {text: 2}}", "text"),
        ("memory: {recal: on}", "did you mean 'recall'?"),
    ):
        settings_file(served.home, text + "\n")
        error = run(served, "add", "x").exception
        assert isinstance(error, UsageError) and said in error.message and "line 1" in error.message, error
