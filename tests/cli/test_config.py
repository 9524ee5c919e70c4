"""A wrong headway.yaml, as whoever starts an engine meets it."""

from __future__ import annotations

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
