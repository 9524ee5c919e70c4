from __future__ import annotations

from pathlib import Path

import pytest
from rich.color import Color
from rich.style import Style
from textual.command import CommandPalette

from console.theme import (
    COLOURLESS,
    DEFAULT,
    STATUS_ROLES,
    TEXT_ROLES,
    Ground,
    Ink,
    Role,
    check_themes,
    load_themes,
    read_theme,
    textual_theme,
    themes_dir,
)
from engine.errors import UsageError
from tests.console.fake import FakeEngine, make_job
from tests.console.stage import console

FILES = sorted(themes_dir().glob("*.yaml"))
COLOURED = [path for path in FILES if not read_theme(path).ansi]


def contrast(style: Style) -> float:
    """WCAG's ratio of a style's two colours."""
    assert style.color and style.bgcolor, f"{style} does not say both its colours"
    light, dark = sorted((_luminance(style.color), _luminance(style.bgcolor)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Color) -> float:
    parts = [c / 255 for c in colour.get_truecolor()]
    r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_theme_file_is_whole(path: Path) -> None:
    theme = read_theme(path)
    ink = Ink(theme)
    assert all(ink.style(role, ground) is not None for role in Role for ground in Ground)
    assert textual_theme(theme).name == path.stem


async def test_every_theme_can_be_worn() -> None:
    async with console(FakeEngine([make_job(7)]), 80, 24) as stage:
        for name in (path.stem for path in FILES):
            stage.app.action_set_theme(name)
            await stage.pilot.pause()
            assert stage.app.theme == name and "J7" in stage.text
        await stage.press("ctrl+p")
        await stage.until(lambda: isinstance(stage.app.screen, CommandPalette))


@pytest.mark.parametrize("path", COLOURED, ids=lambda path: path.stem)
def test_text_and_status_can_be_read_on_every_ground(path: Path) -> None:
    ink = Ink(read_theme(path))
    for ground in Ground:
        for role in TEXT_ROLES:
            assert contrast(ink.style(role, ground)) >= 4.5, (path.stem, role, ground)
        for role in STATUS_ROLES:
            assert contrast(ink.style(role, ground)) >= 3, (path.stem, role, ground)


def test_the_shipped_themes_are_these() -> None:
    assert set(load_themes()) == {"night", "day", "contrast", "ansi", "mono", "paper"}
    assert {DEFAULT, COLOURLESS} <= set(load_themes())


def test_all_files_can_be_checked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_themes() == (6, [])
    (tmp_path / "night.yaml").write_text("name: night")
    monkeypatch.setattr("console.theme.themes_dir", lambda: tmp_path)
    count, problems = check_themes()
    assert count == 1 and problems[1:] == ["theme mono is missing"] and "night.yaml" in problems[0]


def test_the_theme_without_colour_has_none() -> None:
    ink = Ink(load_themes()[COLOURLESS])
    for role in Role:
        for ground in Ground:
            style = ink.style(role, ground)
            assert style.color is None and style.bgcolor is None, (role, ground)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("dark: true", "dark: maybe", "Expected `bool`"),
        ("  key:", "  kee:", "text.kee|Invalid enum value 'kee'"),
        ('  failed: "bold #ff8247"\n', "", "status lacks failed"),
        ('  text: "#d5dbe3"\n', '  text: "#d5dbe3"\n  run: "#ffffff"\n', "text does not take run"),
        ('run: "#56b4e9"', 'run: "vermillionish"', "run: "),
        ("name: night", "name: dusk", "must be that of the file"),
        ("name: night", "name: [", "not valid YAML"),
    ],
)
def test_a_wrong_theme_says_file_and_fault(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = (themes_dir() / "night.yaml").read_text()
    assert old in text
    path = tmp_path / "night.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(UsageError, match=r"theme night\.yaml") as caught:
        read_theme(path)
    assert any(part in caught.value.message for part in said.split("|"))
