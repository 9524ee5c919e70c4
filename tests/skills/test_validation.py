"""Our word on a skill is that of the format's reference validator."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skills_ref.validator import validate as reference

from engine.skills.finding import shipped_folder
from engine.skills.template import template
from engine.skills.validation import validate
from tests.skills.shelf import write_skill

SHIPPED = sorted(folder for folder in shipped_folder().iterdir() if folder.is_dir())


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_what_ships_passes_both(folder: Path) -> None:
    assert reference(folder) == []
    verdict = validate(folder)
    assert (verdict.errors, verdict.advice) == ((), ())


SAMPLES = [
    'name: mine\ndescription: "It does: this."',
    "name: mine\ndescription: It does: this.",
    "name: mine\ndescription: x\nmodel: opus",
    "name: mine\ndescription: x\nmetadata:\n  a: b\n  c: d",
    "name: mine\ndescription: x\nmetadata: {a: b}",
    "name: mine\ndescription: x\nallowed-tools: [Read, Bash]",
    "name: mine\ndescription: x\nallowed-tools: Read Bash(git *)",
    "name: mine\ndescription: x\nlicense: MIT\ncompatibility: Linux",
    f"name: mine\ndescription: x\ncompatibility: {'x' * 501}",
    f"name: mine\ndescription: {'x' * 1024}",
    f"name: mine\ndescription: {'x' * 1025}",
    "name: other\ndescription: x",
    "name: Mine\ndescription: x",
    "name: -mine\ndescription: x",
    "name: mi--ne\ndescription: x",
    "name: mi_ne\ndescription: x",
    "name: mine",
    "description: x",
    "name: mine\ndescription: ''",
    "name: mine\ndescription: x\ndescription: y",
    "name: mine\ndescription: &a x\nlicense: *a",
    "name: mine\ndescription: !!str x",
    'name: mine\ndescription: "a --- b"',
    "name: mine\ndescription: >\n  folded\n  words",
    "name: mine\ndescription: |\n  kept\n  words",
    "- a\n- b",
]


@pytest.mark.parametrize("head", SAMPLES)
def test_it_says_what_the_reference_says(head: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "SKILL.md").write_text(f"---\n{head}\n---\n\nText.\n")
    theirs, ours = reference(tmp_path / "mine"), validate(tmp_path / "mine").errors
    assert bool(theirs) == bool(ours), (theirs, ours)


@pytest.mark.parametrize("text", ["no head", "", "---\nname: mine\n", "\ufeff---\nname: mine\ndescription: x\n---\n"])
def test_nor_without_a_head(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "SKILL.md").write_text(text)
    assert reference(tmp_path / "mine") and validate(tmp_path / "mine").errors


@given(
    name=st.text("abzé0-A_", min_size=1, max_size=8),
    description=st.text("ab :'\"#", min_size=1, max_size=12),
    extra=st.sampled_from(["", "license: MIT", "model: x", "metadata:\n  tags: a, b"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
def test_nor_of_any_quoted_head(name: str, description: str, extra: str, tmp_path: Path) -> None:
    quoted = description.replace("'", "''")
    folder = tmp_path / "mine"
    folder.mkdir(exist_ok=True)
    (folder / "SKILL.md").write_text(f"---\nname: '{name}'\ndescription: '{quoted}'\n{extra}\n---\n\nText.\n")
    assert bool(reference(folder)) == bool(validate(folder).errors)


def test_advice_is_no_error(tmp_path: Path) -> None:
    folder = write_skill(tmp_path, "mine", "x" * 201, "line\n" * 501)
    verdict = validate(folder)
    assert verdict.errors == () and len(verdict.advice) == 3


def test_the_template_passes(tmp_path: Path) -> None:
    (tmp_path / "my-skill").mkdir()
    (tmp_path / "my-skill" / "SKILL.md").write_text(template("my-skill", 'Says "so": it. Use when \\ asked.'))
    assert reference(tmp_path / "my-skill") == [] and validate(tmp_path / "my-skill").errors == ()


def test_no_folder_is_said_to_be_none(tmp_path: Path) -> None:
    assert validate(tmp_path / "none").errors == (f"{tmp_path / 'none'} is no folder",)
