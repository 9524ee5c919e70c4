"""Personas are found in their places, the first of a name stands, and what is wrong with one is said in a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import SessionSettings
from engine.context.personas import dressed, scopes_of
from engine.model import JobSpec, Permission
from engine.personas.finding import UNTRUSTED, find_personas, read_persona, shelves
from engine.personas.persona import Head, Persona, Remembers, Source
from engine.personas.telling import rules, who
from engine.personas.template import template

WHOLE = """\
---
name: reviewer
description: Reviews changes.
voice: Terse.
rules:
  - Never praise.
agent: claude
model: opus
permission: ask
skills:
  - code-review
memory: [global, persona]
session:
  max_turns: 40
---

Look at the tests first.
"""


def write(folder: Path, name: str, text: str = WHOLE) -> Path:
    place = folder / name
    place.mkdir(parents=True)
    (place / "PERSONA.md").write_text(text)
    return place


def test_the_first_of_a_name_stands_and_says_before_which(tmp_path: Path) -> None:
    home, config, project = tmp_path / "home", tmp_path / "config", tmp_path / "project"
    of_home = write(home / "personas", "reviewer")
    of_user = write(config / "headway" / "personas", "reviewer")
    write(project / ".headway" / "personas", "reviewer")
    (untrusted, one) = sorted(find_personas(shelves(home, config, project)), key=lambda found: found.problem is None)
    assert (one.source, one.shadows) == (Source.HOME, [str(of_user / "PERSONA.md")])
    assert untrusted.problem == UNTRUSTED
    (one,) = find_personas(shelves(home, config, project, trusted=True))
    assert one.source is Source.PROJECT and one.shadows == [str(at / "PERSONA.md") for at in (of_home, of_user)]


def test_all_that_it_says_is_read(tmp_path: Path) -> None:
    one = read_persona(write(tmp_path, "reviewer"), Source.HOME)
    assert one.problem is None and one.head is not None
    head = one.head
    assert (head.agent, head.model, head.permission) == ("claude", "opus", Permission.ASK)
    assert head.memory == [Remembers.GLOBAL, Remembers.PERSONA]
    assert head.session == SessionSettings(max_turns=40)
    told = who(head, one.text) + "\n" + rules(head)
    places = [told.index(words) for words in ("You work as reviewer", "Terse.", "tests first", "- Never praise.")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (WHOLE.replace("name: reviewer", "name: other"), "its folder is called reviewer"),
        (WHOLE.replace("voice:", "voise:"), "voise"),
        (WHOLE.replace("max_turns: 40", "max_turns: soon"), "session.max_turns"),
        (WHOLE.replace("description: Reviews changes.\n", ""), "description"),
        (WHOLE.replace("---\n\n", "\n\n"), "no closing line"),
        ("Just words.\n", "must begin with a line of ---"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, why: str) -> None:
    one = read_persona(write(tmp_path, "reviewer", text), Source.HOME)
    assert why in (one.problem or ""), one.problem
    assert "SKILL" not in (one.problem or "")


def test_a_link_out_of_the_project_is_not_followed(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", "reviewer")
    inside = tmp_path / "project"
    inside.mkdir()
    (inside / "reviewer").symlink_to(outside)
    assert "leads out of the project" in (read_persona(inside / "reviewer", Source.PROJECT, inside).problem or "")


def test_the_template_is_a_persona(tmp_path: Path) -> None:
    one = read_persona(write(tmp_path, "mine", template("mine", 'Says "no": often.')), Source.HOME)
    assert one.problem is None and one.description == 'Says "no": often.'


def test_a_job_takes_over_what_it_does_not_say_itself() -> None:
    head = Head(name="r", description="d", agent="claude", model="opus", permission=Permission.ASK, skills=["a", "b"])
    job = dressed(JobSpec(prompt="p", skills=["b", "c"]), head)
    assert (job.agent, job.model, job.permission, job.skills) == ("claude", "opus", Permission.ASK, ["b", "c", "a"])
    job = dressed(JobSpec(prompt="p", agent="codex", permission=Permission.PRESET), head)
    assert (job.agent, job.model, job.permission) == ("codex", None, Permission.PRESET), "no model of another agent"


def test_it_is_told_the_memory_that_it_asks_for() -> None:
    def scopes(memory: object) -> list[str]:
        head = Head(name="r", description="d", memory=memory)  # type: ignore[arg-type]
        return scopes_of("/p", Persona(name="r", path="x", source=Source.HOME, head=head))

    assert scopes(None) == ["global", "project:/p", "persona:r"]
    assert scopes([Remembers.PERSONA]) == ["persona:r"]
    assert scopes("off") == []
    assert scopes_of("/p", None) == ["global", "project:/p"]
