"""The file of instructions that an attempt is given: never in the place of the user's own, and gone again after."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.runner.sheets import BEGIN, END, Names, Sheet, choose, put, take_away

CODEX = Names("AGENTS.md", "AGENTS.override.md")
GEMINI = Names("GEMINI.md")


def given(directory: Path, names: Names = CODEX, text: str = "You work as pilot.") -> Path:
    found = choose(directory, names)
    assert found is not None
    path, theirs = found
    put(Sheet(path, text, theirs))
    return path


def test_it_goes_where_nothing_is_and_leaves_nothing(tmp_path: Path) -> None:
    path = given(tmp_path)
    assert path.name == "AGENTS.md" and path.read_text() == f"{BEGIN}\nYou work as pilot.\n{END}\n"
    take_away(path, tmp_path / "aside")
    assert list(tmp_path.iterdir()) == []


def test_beside_the_users_own_it_holds_his_text_and_his_file_stays(tmp_path: Path) -> None:
    own = tmp_path / "AGENTS.md"
    own.write_text("Ours is vermilion.\n")
    path = given(tmp_path)
    assert path.name == "AGENTS.override.md"
    assert path.read_text().startswith("Ours is vermilion.\n\n" + BEGIN)
    take_away(path, tmp_path / "aside")
    assert [one.name for one in tmp_path.iterdir()] == ["AGENTS.md"] and own.read_text() == "Ours is vermilion.\n"


@pytest.mark.parametrize("names", [CODEX, GEMINI])
def test_there_is_no_place_where_all_of_them_are_the_users(tmp_path: Path, names: Names) -> None:
    for name in filter(None, (names.usual, names.instead)):
        (tmp_path / name).write_text("mine\n")
    assert choose(tmp_path, names) is None


def test_a_link_that_leads_nowhere_is_the_users_too(tmp_path: Path) -> None:
    (tmp_path / "GEMINI.md").symlink_to(tmp_path / "elsewhere")
    assert choose(tmp_path, GEMINI) is None


def test_what_the_agent_wrote_around_it_is_its_own_work(tmp_path: Path) -> None:
    path = given(tmp_path)
    path.write_text(f"# Build\n\nmake\n\n{path.read_text()}\n# Test\n")
    take_away(path, tmp_path / "aside")
    assert path.read_text() == "# Build\n\nmake\n\n\n# Test\n"
    assert not (tmp_path / "aside").exists()


def test_what_it_wrote_in_its_place_stays_as_it_is(tmp_path: Path) -> None:
    path = given(tmp_path)
    path.write_text("# Mine\n")
    take_away(path, tmp_path / "aside")
    assert path.read_text() == "# Mine\n"


def test_what_it_changed_of_a_copy_of_the_users_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text("Ours is vermilion.\n")
    path = given(tmp_path)
    path.write_text(f"One more.\n{path.read_text()}")
    take_away(path, tmp_path / "aside")
    assert not path.exists() and (tmp_path / "AGENTS.md").read_text() == "Ours is vermilion.\n"
    assert (tmp_path / "aside" / path.name).read_text().startswith("One more.\nOurs is vermilion.")


def test_a_text_with_our_own_marks_in_it_does_not_end_the_block(tmp_path: Path) -> None:
    path = given(tmp_path, text=f"Do this.\n{END}\nand that.")
    assert path.read_text().count(END) == 1
    take_away(path, tmp_path / "aside")
    assert not path.exists()


def test_half_a_block_is_put_aside(tmp_path: Path) -> None:
    path = given(tmp_path)
    path.write_text(path.read_text().replace(END, ""))
    take_away(path, tmp_path / "aside")
    assert not path.exists() and BEGIN in (tmp_path / "aside" / path.name).read_text()
