"""A wrong headway.yaml, as whoever starts an engine meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from console.launch import start_engine
from engine.errors import UsageError
from tests.conftest import Served, settings_file

WRONG = "max_running: -1\nagents:\n  claude: {comand: [x]}\n  clade: {}\ndefault_agent: shel\n"


def said(home: Path) -> list[str]:
    file = home / "headway.yaml"
    return [
        f"{file}, line 1: max_running: expected int >= 0",
        f"{file}, line 3: agents.claude: no key 'comand'; did you mean 'command'?",
        f"{file}, line 4: agents.clade: there is no agent 'clade'; did you mean 'claude'?",
        f"{file}, line 5: default_agent: there is no agent 'shel'; did you mean 'shell'?",
    ]


def test_a_headless_engine_is_refused_with_every_mistake(home: Path) -> None:
    settings_file(home, WRONG)
    done = Served(home).headway("serve")
    assert done.returncode == 2
    assert done.stderr.removeprefix("headway: ").splitlines() == said(home)


def test_the_console_is_told_every_mistake_of_the_engine_that_it_starts(home: Path) -> None:
    settings_file(home, WRONG)
    with pytest.raises(UsageError) as error:
        start_engine(home)
    assert error.value.message.splitlines() == said(home)


def test_doctor_shows_every_mistake(home: Path) -> None:
    settings_file(home, WRONG)
    done = Served(home).headway("doctor")
    assert done.returncode == 1
    shown = [line.strip() for line in done.stdout.splitlines()]
    first = shown.index(f"✗ settings     {said(home)[0]}")
    assert shown[first + 1 : first + 5] == [*said(home)[1:], "mend this; the engine does not start with it"]


def test_config_names_the_file_that_counts_and_its_mistakes(home: Path, tmp_path: Path) -> None:
    engine = Served(home)
    assert engine.headway("config").stdout == "no headway.yaml: all defaults, ok\n"
    settings_file(home, "max_running: 3\n")
    assert engine.headway("config").stdout == engine.headway("config", "check").stdout == f"{home}/headway.yaml: ok\n"
    other = tmp_path / "other.yaml"
    other.write_text("max_running: no\nprojects: {a: {}}\n")
    done = engine.headway("config", "check", str(other))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.removeprefix("headway: ").splitlines() == [
        f"{other}, line 1: max_running: expected int, got bool",
        f"{other}, line 2: projects.a: 'path' is missing",
    ]
    settings_file(home, WRONG)
    for command in (("config",), ("config", "check"), ("config", "show")):
        done = engine.headway(*command)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.removeprefix("headway: ").splitlines() == said(home)


def test_config_show_prints_every_setting_as_it_counts(home: Path, tmp_path: Path) -> None:
    settings_file(home, "agents: {claude: {model: opus}}\n")
    engine = Served(home)
    shown = engine.headway("config", "show").stdout
    assert shown.startswith(f"# {home}/headway.yaml\n")
    as_json = json.loads(engine.headway("config", "show", "--json").stdout)
    assert (as_json["agents"]["claude"]["model"], as_json["max_attempts"]) == ("opus", 3)
    again = tmp_path / "again.yaml"
    again.write_text(shown)
    assert engine.headway("config", "check", str(again)).stdout == f"{again}: ok\n", "what is shown can be read"


def test_a_wrong_file_of_jobs_is_told_what_it_and_what_the_engine_finds(served: Served, tmp_path: Path) -> None:
    settings_file(served.home, "max_running: 0\n")
    served.start()
    file = tmp_path / "jobs.yaml"
    file.write_text("- {prompt: a, agent: shell, after: [99], timeout: 0}\n- {promt: b, agent: shel}\n- {prompt: c}\n")
    done = served.headway("submit", "-f", str(file))
    assert done.returncode == 2
    assert done.stderr.removeprefix("headway: ").splitlines() == [
        f"{file}, line 1: timeout: it is 0, so that nothing could run",
        f"{file}, line 2: no key 'promt'; did you mean 'prompt'?",
        f"{file}, line 2: 'prompt' is missing",
        f"{file}, line 2: agent: there is no agent 'shel'; did you mean 'shell'?",
    ]
    assert served.json("jobs") == []
    done = served.headway("submit", "x", "--agent", "shel", "--timeout", "soon", "--scratch")
    assert (done.returncode, done.stderr.splitlines()) == (
        2,
        [
            "headway: agent: there is no agent 'shel'; did you mean 'shell'?",
            "timeout: 'soon' is no span of time; write 90s, 15m, 2h or 1d",
        ],
    )
