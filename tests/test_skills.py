"""The skills that ship, and what is said of broken ones."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.skills import find_skills, skills_folder

TREE = Path(__file__).parents[1]


def test_the_shipped_skills_can_be_used() -> None:
    skills = find_skills()
    assert len(skills) >= 28 and len({skill.description for skill in skills}) == len(skills)
    for skill in skills:
        assert skill.problem is None
        assert "Use " in skill.description and len(skill.description) <= 200
        assert 40 <= len(Path(skill.path).read_text().splitlines()) <= 120
    assert skills_folder() == TREE / "skills"


def test_an_installed_copy_finds_them_beside_its_module(tmp_path: Path) -> None:
    """A wheel puts the folder at engine/skills, beside the module of the same name."""
    shutil.copytree(TREE / "engine", tmp_path / "engine", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(TREE / "skills", tmp_path / "engine" / "skills")
    code = "from engine.skills import find_skills; print(*(skill.path for skill in find_skills()))"
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert len(found.stdout.split()) >= 28
    assert all(path.startswith(str(tmp_path / "engine" / "skills")) for path in found.stdout.split())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "SKILL.md cannot be read: No such file or directory"),
        ("# Mine\n", "SKILL.md must begin with a line of ---"),
        ("---\nname: mine\n", "the frontmatter of SKILL.md has no closing line of ---"),
        ("---\nname: mine\ndescription: a: b\n---\n", "line 3 of SKILL.md: mapping values are not allowed here"),
        ("---\n- mine\n---\n", "the frontmatter of SKILL.md is not a mapping of names to values"),
        ("---\ndescription: x\n---\n", "`name` is missing"),
        ("---\nname: [mine]\ndescription: x\n---\n", "`name` is missing"),
        ("---\nname: My_Skill\ndescription: x\n---\n", "`name` must be lowercase letters, digits"),
        ("---\nname: other\ndescription: x\n---\n", "`name` is 'other', and its folder 'mine'"),
        ("---\nname: mine\n---\n", "`description` is missing"),
        (f"---\nname: mine\ndescription: {'x' * 1025}\n---\n", "`description` has 1025 characters; 1024 are allowed"),
        ("---\nname: mine\ndescription: !!python/object:os.system x\n---\n", "line 3 of SKILL.md: could not"),
        ("---\nname: mine\ndescription: x\nmodel: opus\n---\n", None),
    ],
)  # fmt: skip
def test_a_skill_says_what_is_wrong_with_it(text: str | None, problem: str | None, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    if text is not None:
        (tmp_path / "mine" / "SKILL.md").write_text(text)
    (skill,) = find_skills(tmp_path)
    assert (skill.problem or "").startswith(problem or "") and (skill.problem is None) == (problem is None)
    assert skill.path == str(tmp_path / "mine" / "SKILL.md")
    assert skill.name in ("mine", "other", "My_Skill")


def test_no_folder_is_no_skill(tmp_path: Path) -> None:
    assert find_skills(tmp_path / "none") == []
    (tmp_path / "README.md").write_text("not a folder")
    (tmp_path / ".hidden").mkdir()
    assert find_skills(tmp_path) == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("skills")
    (path / "mine").mkdir()
    return path


@given(st.binary(max_size=80) | st.text(max_size=80).map(lambda text: f"---\n{text}\n---\n".encode(errors="replace")))
def test_any_file_becomes_a_skill_or_a_problem(folder: Path, data: bytes) -> None:
    (folder / "mine" / "SKILL.md").write_bytes(data)
    (skill,) = find_skills(folder)
    assert skill.problem is None or "\n" not in skill.problem
