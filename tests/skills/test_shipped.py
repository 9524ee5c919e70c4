"""The skills that ship: enough, short, told apart, and true of this program."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from console.cli.app import application
from engine.skills.finding import find_skills, shelves
from engine.skills.skill import Skill, tokens

NONE = Path("/nonexistent")
SHIPPED = find_skills(shelves(NONE))
IDS = [skill.name for skill in SHIPPED]
LISTED = 8_000  #: characters that the tightest of the agents gives to its list of skills


def text(skill: Skill) -> str:
    return Path(skill.path).read_text()


def test_there_are_enough_and_they_fit_into_one_list() -> None:
    assert len(SHIPPED) >= 28
    assert sum(len(skill.name) + len(skill.description) + 10 for skill in SHIPPED) < LISTED
    assert len({skill.description for skill in SHIPPED}) == len(SHIPPED)


@pytest.mark.parametrize("skill", SHIPPED, ids=IDS)
def test_each_is_short_and_says_what_and_when(skill: Skill) -> None:
    assert (skill.problem, skill.warnings) == (None, [])
    assert re.search(r"\bUse (when|before|after|for|as|on|in)\b", skill.description), skill.description
    assert len(skill.description) <= 200 and skill.tags
    assert 40 <= len(text(skill).splitlines()) <= 120
    assert tokens(text(skill)) < 1_500
    assert re.search(r"^## |^# ", text(skill), re.M)
    assert re.search(r"output|report|verdict|done when|form|the text|write it|the file|the document", text(skill), re.I)


@pytest.mark.parametrize("skill", SHIPPED, ids=IDS)
def test_what_it_refers_to_is_there(skill: Skill) -> None:
    folder = Path(skill.folder)
    for name in re.findall(r"\b((?:scripts|references|assets)/[\w./-]+\w)", text(skill)):
        assert (folder / name).is_file(), name
    for name in re.findall(r"([a-z]+(?:-[a-z]+)+) skill\b", text(skill)):
        assert name in IDS, name
    for path in folder.rglob("*.py"):
        assert path.stat().st_mode & 0o100, f"{path} is no program"


def commands(skill: Skill) -> Iterator[list[str]]:
    """The calls of headway in its code."""
    for line in re.findall(r"^\s*(headway .*)$|`(headway [^`]*)`", text(skill), re.M):
        for call in re.split(r"\s;\s*|\s#\s|->", next(filter(None, line))):
            if call.strip().startswith("headway "):
                yield shlex.split(re.sub(r"\s\s.*|\.\.\.", "", call.strip()))[1:]


@pytest.mark.parametrize("skill", SHIPPED, ids=IDS)
def test_every_command_of_ours_that_it_names_exists(skill: Skill, root: Any) -> None:
    for words in commands(skill):
        command = root
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        assert command is not root, f"there is no headway {' '.join(words)}"
        known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
        for word in words:
            if word.startswith("-") and len(word) > 1:
                assert word.partition("=")[0] in known, f"{command.name} has no {word}"


@pytest.fixture(scope="module")
def root() -> Any:
    """The whole command line, which takes a while to build."""
    return get_command(application())


def test_commands_of_ours_are_found_in_skills() -> None:
    """So that the test above looks at something."""
    assert sum(1 for skill in SHIPPED for _ in commands(skill)) > 25
