from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from rich.color import Color
from rich.style import Style
from textual.command import CommandPalette
from textual.css import stylesheet
from textual.css.model import RuleSet

from console.actions import BY_ID
from console.screens.places import PLACES
from console.theme import (
    COLOURLESS,
    DEFAULT,
    STATUS_ROLES,
    TEXT_ROLES,
    Ground,
    Ink,
    Role,
    check_themes,
    find_themes,
    load_themes,
    own_places,
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
    assert set(load_themes()) == {
        "night", "day", "contrast", "contrast-light", "colourblind", "ansi", "mono", "paper", "meadow", "dusk", "ocean",
        "forest", "slate", "amber",
    }  # fmt: skip
    assert {DEFAULT, COLOURLESS} <= set(load_themes())


def test_all_files_can_be_checked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_themes() == (14, [])
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


#: What the three kinds of colour blindness make of linear light, after Machado, Oliveira and Fernandes (2009), in full.
BLINDNESS = {
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


def seen(colour: Color, kind: str) -> tuple[float, float, float]:
    """A colour as such eyes see it, in CIE L*a*b*."""
    light = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour.get_truecolor())
    ]
    red, green, blue = (min(1.0, max(0.0, sum(m * c for m, c in zip(row, light)))) for row in BLINDNESS[kind])  # noqa: B905
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


@pytest.mark.parametrize("kind", BLINDNESS)
def test_without_red_green_or_blue_the_safe_theme_still_tells_states_apart(kind: str) -> None:
    ink = Ink(load_themes()["colourblind"])
    told = [ink.style(role).color for role in (Role.FAILED, Role.RUN, Role.WAIT, Role.DONE)]
    for one, other in combinations(told, 2):
        assert one is not None and other is not None
        assert math.dist(seen(one, kind), seen(other, kind)) > 20, (kind, one, other)


async def test_a_theme_that_is_dropped_into_the_home_can_be_worn_at_once(tmp_path: Path) -> None:
    async with console(FakeEngine([make_job(7)]), 100, 24) as stage:
        stage.app.desk.theme_places = (tmp_path,)
        text = (themes_dir() / "night.yaml").read_text().replace("name: night", "name: mine")
        (tmp_path / "mine.yaml").write_text(text.replace('run: "#56b4e9"', 'run: "vermillionish"'))
        stage.app.action_set_theme("mine")
        await stage.shows("theme mine.yaml: run")
        (tmp_path / "mine.yaml").write_text(text)
        stage.app.action_set_theme("mine")
        assert stage.app.theme == "mine"
        stage.app.action_set_theme("yours")
        await stage.shows("there is no theme 'yours'")


def test_own_themes_go_before_shipped_ones_and_wrong_ones_are_told(tmp_path: Path) -> None:
    home, config = tmp_path / "home", tmp_path / "config"
    places = own_places(home, {"XDG_CONFIG_HOME": str(config)})
    for place in places:
        place.mkdir(parents=True)
    text = (themes_dir() / "day.yaml").read_text()
    (config / "headway" / "themes" / "day.yaml").write_text(text.replace("dark: false", "dark: true"))
    (home / "themes" / "broken.yaml").write_text("name: broken")
    themes, problems = find_themes(places)
    assert themes["day"].dark and set(themes) == set(load_themes())
    assert len(problems) == 1 and "broken.yaml" in problems[0]
    assert check_themes(places)[0] == len(load_themes()) + 2
    assert own_places(None, {"HOME": "/home/you"}) == (Path("/home/you/.config/headway/themes"),)


async def test_the_looks_are_read_once_for_each_theme_however_many_screens_are_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: Counter[object] = Counter()
    parse = stylesheet.parse

    def counted(scope: str, css: str, *more: Any, **named: Any) -> Iterable[RuleSet]:
        read[scope, css, named["tie_breaker"]] += 1
        return parse(scope, css, *more, **named)

    monkeypatch.setattr(stylesheet, "parse", counted)
    async with console(FakeEngine([make_job(7)])) as stage:
        for place in PLACES:
            await stage.press(BY_ID[f"go_{place.name}"].keys[0])
            await stage.until(lambda place=place: stage.app.place is place)
        assert read and set(read.values()) == {1}
        before = stage.app.screen.styles.background
        await stage.press(":")
        await stage.type("theme paper")
        await stage.press("enter")
        await stage.until(lambda: stage.app.theme == "paper" and stage.app.screen.styles.background != before)
        assert set(read.values()) == {2}, "other colours, other rules"
