"""Scenarios as people write them, and what they are told when they write them wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest
import yaml

from engine.errors import UsageError
from engine.rehearsal.scenario import AnyStep, Fail, Say, Scenario, find, names, project_files, read, script

GOOD = """
about: Says one thing.
steps:
  - do: say
    pause: 200
    text: Hello.
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return path


def test_every_packaged_scenario_can_be_read() -> None:
    for name in names():
        scenario = find(name, Path())
        assert scenario.about.endswith(".")
        assert json.loads(script(scenario))["steps"][-1]["do"] in ("say", "fail")


def test_a_file_is_found_by_its_path(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    absolute, relative = find(str(path), Path("/")), find("mine.yaml", tmp_path)
    assert absolute == relative
    assert absolute.steps == [Say(pause=200, text="Hello.")]
    assert absolute.seconds == 0.2


def test_a_script_says_everything(tmp_path: Path) -> None:
    played = json.loads(script(read(written(tmp_path, GOOD + "project: true\n"))))
    assert played["steps"] == [{"do": "say", "pause": 200.0, "tokens": None, "text": "Hello."}]
    assert played["files"] == project_files()
    assert played["resumed"] == []
    assert played["stream"]["init"]["subtype"] == "init"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fix-bugs", "no rehearsal scenario 'fix-bugs': did you mean fix-bug?"),
        ("flacky-network", "no rehearsal scenario 'flacky-network': did you mean flaky-network?"),
        ("opus", "no rehearsal scenario 'opus': there are ask, crash, critic, denied,"),
    ],
)
def test_an_unknown_name_is_told_the_nearest(name: str, words: str) -> None:
    with pytest.raises(UsageError) as error:
        find(name, Path())
    assert error.value.message.startswith(words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("about: x: y\n", ", line 1: not valid YAML: mapping values are not allowed"),
        ("about: x\nsteps: []\n", "length >= 1 - at `steps`"),
        ("about: x\nsteps:\n- {do: sing, text: la}\n", "Invalid value 'sing' - at step 1 of `steps`"),
        ("about: x\nsteps:\n- {do: say, text: a}\n- {do: say, txt: a}\n", "unknown field `txt` - at step 2 of `steps`"),
        ("about: x\nsteps:\n- {do: read}\n", "missing required field `path` - at step 1 of `steps`"),
        ("about: x\nsteps:\n- {do: fail, kind: cold}\n", "Invalid enum value 'cold' - at step 1 of `steps`, `kind`"),
        ("about: x\nsteps:\n- {do: limit, used: 3}\n", "Expected `float` <= 1.0 - at step 1 of `steps`, `used`"),
        ("about: x\nsteps:\n- {do: run, command: ls}\n", "`steps` must end with `say` or `fail`"),
        ("about: x\nsteps:\n- {do: say, text: a}\n- {do: fail, kind: lost}\n", "can only be the first of `steps`"),
        ("steps:\n- {do: say, text: a}\n", "missing required field `about`"),
        ("a list\n", "Expected `object`, got `str`"),
        ("about: x\nspeed: 3\nsteps:\n- {do: say, text: a}\n", "unknown field `speed`"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, words: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as error:
        read(path)
    assert error.value.message.startswith(str(path))
    assert words in error.value.message
    assert "\n" not in error.value.message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.yaml cannot be read: No such file"):
        find("none.yaml", tmp_path)
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"about: caf\xe9\n")
    with pytest.raises(UsageError, match="is no UTF-8 text"):
        read(path)


def test_the_documentation_is_true() -> None:
    """It names every scenario and every kind of failure, and its example can be played."""
    text = (Path(__file__).parents[2] / "docs" / "rehearsal.md").read_text()
    assert set(re.findall(r"^\| `([a-z-]+)` \|", text.split("## The formats")[0], re.MULTILINE)) == set(names())
    example = text.split("```yaml\n")[1].split("```")[0]
    written_there = msgspec.convert(yaml.safe_load(example), Scenario)
    assert written_there.format == "codex"
    kinds = next(get_args(field.type) for field in msgspec.structs.fields(Fail) if field.name == "kind")
    told = text.split("Kinds of failure:")[1].split("`HEADWAY")[0]
    assert set(re.findall(r"`([a-z_]+)`", told)) - {"signal", "code"} == set(kinds)
    fields = {name for step in get_args(AnyStep) for name in step.__struct_fields__}
    assert fields <= set(re.findall(r"`([a-z_]+)`", text))
