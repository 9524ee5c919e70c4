"""Where skills are found, which of one name stands, and what is said of broken ones."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.skills import contents, finding, reading
from engine.skills.finding import UNTRUSTED, Shelf, find_skills, read_skill, shelves
from engine.skills.skill import Skill, Source
from tests.skills.shelf import write_skill

HEAD = "---\nname: mine\ndescription: x\n"


def one(folder: Path) -> Skill:
    (skill,) = find_skills([Shelf(Source.USER, folder)])
    return skill


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "there is no SKILL.md in it"),
        ("# Mine\n", "SKILL.md must begin with a line of ---"),
        ("---\nname: mine\n", "the head of SKILL.md has no closing line of ---"),
        ("---\nname: mine\ndescription: [a\n---\n", "line 3 of SKILL.md: "),
        ("---\n- mine\n---\n", "the head of SKILL.md is not a mapping of names to values"),
        ("---\n---\n", "the head of SKILL.md is not a mapping of names to values"),
        ("---\ndescription: x\n---\n", "`name` is missing"),
        ("---\nname:\n  - mine\ndescription: x\n---\n", "`name` is missing"),
        ("---\nname: My_Skill\ndescription: x\n---\n", "`name` must be lowercase letters, digits and hyphens"),
        ("---\nname: a--b\ndescription: x\n---\n", "`name` must have single hyphens within it alone"),
        ("---\nname: ../../etc\ndescription: x\n---\n", "`name` must be lowercase letters, digits and hyphens"),
        ("---\nname: mine\n---\n", "`description` is missing"),
        ("---\nname: mine\nname: mine\ndescription: x\n---\n", "line 3 of SKILL.md: 'name' stands here twice"),
        ("---\nname: mine\ndescription: !!python/object:os.system x\n---\n", "line 3 of SKILL.md: a tag such as "),
        ("---\nname: &a mine\ndescription: *a\n---\n", "line 2 of SKILL.md: anchors and aliases are not allowed"),
        (f"---\nname: mine\ndescription: {'[' * 40}{']' * 40}\n---\n", "line 3 of SKILL.md: more than 8 levels deep"),
        (f"---\nname: mine\ndescription: {'x' * 20_000}\n---\n", "the head of SKILL.md is longer than 16 KiB"),
        ("---\nname: mine\ndescription: \x07\n---\n", "line 3 of SKILL.md: the character U+0007 is not allowed"),
        (f"{HEAD}---\n{'x' * (reading.SIZE_LIMIT + 1)}", "SKILL.md is larger than 256 KiB"),
    ],
)
def test_a_skill_that_cannot_be_given_says_why(text: str | None, problem: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    if text is not None:
        (tmp_path / "mine" / "SKILL.md").write_text(text)
    skill = one(tmp_path)
    assert (skill.problem or "").startswith(problem), skill.problem
    assert skill.path == str(tmp_path / "mine" / "SKILL.md")


def test_a_doubling_document_is_refused_before_it_grows(tmp_path: Path) -> None:
    """A billion of one word, by nine lines of aliases."""
    lines = ['a0: &a0 ["lol"]', *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "SKILL.md").write_text("\n".join(["---", *lines, "---", ""]))
    assert one(tmp_path).problem == "line 2 of SKILL.md: anchors and aliases are not allowed"


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (f"{HEAD}model: opus\n---\n", "there is no field 'model' in the format: put it under metadata"),
        ("---\nname: other\ndescription: x\n---\n", "`name` is 'other', and its folder 'mine'"),
        (f"---\nname: mine\ndescription: {'x' * 1025}\n---\n", "`description` has 1025 characters; 1024 are allowed"),
        ("---\nname: mine\ndescription: it: does\n---\n", "line 3 of SKILL.md: mapping values are not allowed"),
        (f"{HEAD}compatibility: {'x' * 501}\n---\n", "`compatibility` has 501 characters; 500 are allowed"),
        (f"{HEAD}metadata: much\n---\n", "`metadata` must be names with one text each"),
    ],
)
def test_what_only_the_format_forbids_is_a_warning(text: str, warning: str, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "SKILL.md").write_text(text)
    skill = one(tmp_path)
    assert skill.problem is None
    assert any(said.startswith(warning) for said in skill.warnings), skill.warnings
    assert skill.description in ("x", "x" * 1025, "it: does")


def test_what_is_found_is_told(tmp_path: Path) -> None:
    skill = write_skill(tmp_path, "log-reader", "Reads   logs.", "Read them.", 'metadata:\n  tags: "ops, Logs"\n')
    (skill / "scripts").mkdir()
    (skill / "scripts" / "run.sh").write_text("#!/bin/sh\n")
    (skill / ".git").mkdir()
    (skill / ".git" / "HEAD").write_text("ref")
    found = one(tmp_path)
    assert (found.name, found.description, found.tags, found.files) == ("log-reader", "Reads logs.", ["logs", "ops"], 2)
    assert found.problem is None and not found.warnings and 10 < found.tokens < 40
    (skill / "scripts" / "run.sh").chmod(0o755)
    assert one(tmp_path).sha256 != found.sha256, "a program is another file"


def test_the_project_goes_before_the_user_and_the_user_before_what_ships(tmp_path: Path) -> None:
    project, config = tmp_path / "project", tmp_path / "config"
    ours = write_skill(project / ".agents" / "skills", "incident-triage")
    theirs = write_skill(config / "headway" / "skills", "incident-triage")
    write_skill(project / ".claude" / "skills", "incident-triage")
    found = {skill.name: skill for skill in find_skills(shelves(config, project, trusted=True))}
    first = found["incident-triage"]
    assert (first.source, first.path) == (Source.PROJECT, str(ours / "SKILL.md"))
    assert [Path(path).parts[-4] for path in first.shadows[:1]] == [".claude"]
    assert first.shadows[1] == str(theirs / "SKILL.md")


def test_a_project_that_is_not_trusted_is_shown_and_stands_before_nothing(tmp_path: Path) -> None:
    project, config = tmp_path / "project", tmp_path / "config"
    write_skill(project / ".headway" / "skills", "same")
    theirs = write_skill(config / "headway" / "skills", "same")
    found = [skill for skill in find_skills(shelves(config, project)) if skill.name == "same"]
    assert [skill.problem for skill in found] == [None, UNTRUSTED]
    assert found[0].path == str(theirs / "SKILL.md") and not found[0].shadows


def test_a_broken_one_hides_none_that_works(tmp_path: Path) -> None:
    project, config = tmp_path / "project", tmp_path / "config"
    (write_skill(project / ".headway" / "skills", "same") / "SKILL.md").write_text("no head")
    write_skill(config / "headway" / "skills", "same")
    found = [skill for skill in find_skills(shelves(config, project, trusted=True)) if skill.name == "same"]
    assert [skill.source for skill in found if skill.problem is None] == [Source.USER]


def test_no_link_leads_out_of_a_skill(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("key")
    skill = write_skill(tmp_path / "skills", "mine")
    (skill / "notes.md").symlink_to(tmp_path / "secret")
    assert one(tmp_path / "skills").problem == "notes.md is a link that leads out of the skill"
    (skill / "notes.md").unlink()
    (skill / "notes.md").symlink_to("nowhere")
    assert one(tmp_path / "skills").problem == "notes.md is a link that leads nowhere"
    (skill / "notes.md").unlink()
    (skill / "notes.md").symlink_to("SKILL.md")
    assert (one(tmp_path / "skills").problem, one(tmp_path / "skills").files) == (None, 2)
    (skill / "SKILL.md").unlink()
    (skill / "SKILL.md").symlink_to(tmp_path / "secret")
    assert "leads out" in (one(tmp_path / "skills").problem or "") or "leads nowhere" in (
        one(tmp_path / "skills").problem or ""
    )


def test_a_project_cannot_lend_a_folder_of_somebody_else(tmp_path: Path) -> None:
    elsewhere = write_skill(tmp_path / "elsewhere", "mine")
    project = tmp_path / "project"
    (project / ".agents" / "skills").mkdir(parents=True)
    (project / ".agents" / "skills" / "mine").symlink_to(elsewhere)
    found = [s for s in find_skills(shelves(tmp_path / "config", project, trusted=True)) if s.name == "mine"]
    assert [skill.problem for skill in found] == ["it is a link that leads out of the project"]
    user = tmp_path / "config" / "headway" / "skills"
    user.mkdir(parents=True)
    (user / "mine").symlink_to(elsewhere)
    usable = [s for s in find_skills(shelves(tmp_path / "config", project, trusted=True)) if not s.problem]
    assert [s.source for s in usable if s.name == "mine"] == [Source.USER], "what a user links to is the user's"


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skill = write_skill(tmp_path, "mine")
    (skill / "big").write_bytes(b"x" * (contents.FILE_LIMIT + 1))
    assert one(tmp_path).problem == "big is larger than 2 MiB"
    (skill / "big").unlink()
    monkeypatch.setattr(contents, "TOTAL_LIMIT", 2 << 20)
    for number in range(3):
        (skill / f"part-{number}").write_bytes(b"x" * (1 << 20))
    assert one(tmp_path).problem == "its files are larger than 2 MiB together"
    monkeypatch.setattr(contents, "FILES_LIMIT", 2)
    assert one(tmp_path).problem == "it has more than 2 files"
    deep = tmp_path / "deep" / "mine" / "/".join("abcdefgh")
    deep.mkdir(parents=True)
    assert (read_skill(tmp_path / "deep" / "mine").problem or "").endswith("is more than 6 folders deep")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    skill = write_skill(tmp_path, "mine")
    os.mkfifo(skill / "pipe")
    assert one(tmp_path).problem == "pipe is no regular file"
    (skill / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(skill / "s"))
        assert one(tmp_path).problem == "s is no regular file"


def test_no_folder_is_no_skill(tmp_path: Path) -> None:
    assert find_skills([Shelf(Source.USER, tmp_path / "none")]) == []
    (tmp_path / "README.md").write_text("not a folder")
    (tmp_path / ".hidden").mkdir()
    assert find_skills([Shelf(Source.USER, tmp_path)]) == []


def test_an_installed_copy_finds_what_ships_beside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert finding.shipped_folder() == Path(__file__).parents[2] / "skills"
    installed = tmp_path / "engine" / "skills"
    write_skill(installed / "shipped", "mine")
    monkeypatch.setattr(finding, "__file__", str(installed / "finding.py"))
    assert finding.shipped_folder() == installed / "shipped"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("skills")
    (path / "mine").mkdir()
    return path


@given(st.binary(max_size=80) | st.text(max_size=80).map(lambda text: f"---\n{text}\n---\n".encode(errors="replace")))
def test_any_file_becomes_a_skill_or_a_problem(folder: Path, data: bytes) -> None:
    (folder / "mine" / "SKILL.md").write_bytes(data)
    skill = one(folder)
    assert skill.problem is None or ("\n" not in skill.problem and skill.problem)
