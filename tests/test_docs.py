"""What the documents tell to write is accepted, and what they tell to type exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from console.cli.app import application
from engine.agents.registry import read_settings

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
# Of the other files that are written by hand: job files are lists or have jobs:, pipelines and scenarios have steps:.
OTHER_KEYS = {"jobs", "steps"}
VIEWS = "console.md"


def _snippets() -> Iterator[tuple[str, str]]:
    for document in DOCUMENTS:
        for place, found in enumerate(re.findall(r"```yaml\n(.*?)```", document.read_text(), re.S)):
            content = yaml.safe_load(found)
            if document.name != VIEWS and isinstance(content, dict) and not OTHER_KEYS & content.keys():
                yield f"{document.name}-{place}", found


@pytest.mark.parametrize(("where", "text"), [pytest.param(*one, id=one[0]) for one in _snippets()])
def test_settings_in_the_documents_stand_alone(tmp_path: Path, where: str, text: str) -> None:
    file = tmp_path / "headway.yaml"
    file.write_text(text)
    read_settings(file)


def _commands(text: str) -> Iterator[str]:
    """Every line of a shell that begins with headway, and every command in a sentence."""
    yield from re.findall(r"`(headway [^`\n]+)`", text)
    for block in re.findall(r"```(?:sh)?\n(.*?)```", text, re.S):
        for line in block.replace("\\\n", " ").splitlines():
            typed = re.sub(r"\s+#.*", "", line.strip().removeprefix("$ "))
            yield from (one for one in re.split(r" ; | && | \| ", typed) if one.startswith("headway "))


def _wrong(command: str, root: Any) -> Iterator[str]:
    try:
        words = shlex.split(command.split(" | ")[0])[1:]
    except ValueError:
        words = command.split(" | ")[0].split()[1:]
    at, known = root, {"-h", "--help", *(option for one in root.params for option in (*one.opts, *one.secondary_opts))}
    for word in words:
        flag = re.match(r"\[?(-[a-z]|--[a-z][a-z-]*)(?![\w-])", word)
        if flag is not None and flag[1] not in known:
            yield f"{command}: no option {flag[1]}"
        commands = getattr(at, "commands", {})
        if flag is None and commands and re.fullmatch(r"[a-z][a-z-]*", word):
            if word in commands:
                at = commands[word]
                known |= {option for one in at.params for option in (*one.opts, *one.secondary_opts)}
            elif at is root:
                yield f"{command}: no command {word}"
                return


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: one.name)
def test_commands_in_the_documents_exist(document: Path, root: Any) -> None:
    assert [wrong for one in _commands(document.read_text()) for wrong in _wrong(one, root)] == []


@pytest.fixture(scope="module")
def root() -> Any:
    """The whole command line, which takes a while to build."""
    return get_command(application())
