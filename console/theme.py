"""Themes: files that give every role a style. Read, checked, and turned into what Textual and our widgets need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from rich.errors import StyleSyntaxError
from rich.style import Style
from textual.theme import Theme

from console.roles import STATUS_ROLES, TEXT_ROLES, Ground, Role
from engine.documents import parse, text_of
from engine.errors import UsageError

DEFAULT = "night"
COLOURLESS = "mono"
FILE_BYTES = 1 << 20  #: of a theme; ours have 2,000

_Style = Annotated[str, Meta(min_length=1)]


class Colours(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What Textual's own widgets (the command line, the palette) are drawn with."""

    primary: str
    secondary: str
    accent: str
    foreground: str
    background: str
    surface: str
    panel: str
    warning: str
    error: str
    success: str


class ThemeFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One theme file. Styles are written as Rich writes them: `bold #d55e00`, `dim`, `reverse`, `on #1c2430`."""

    name: Annotated[str, Meta(pattern="^[a-z][a-z0-9-]*$")]
    dark: bool
    ansi: bool = False
    """The terminal's own 16 colours, or none at all."""
    colours: Colours
    ground: dict[Ground, _Style]
    text: dict[Role, _Style]
    status: dict[Role, _Style]
    variables: dict[str, str] = msgspec.field(default_factory=dict)
    """Further colours of Textual's own widgets, by its names for them."""


class Ink:
    """A theme as the widgets use it: `style(role, ground)`, each pair built once."""

    def __init__(self, theme: ThemeFile) -> None:
        self.theme = theme
        self._grounds = {ground: Style.parse(text) for ground, text in theme.ground.items()}
        self._roles = {role: Style.parse(text) for role, text in (theme.text | theme.status).items()}
        self._built: dict[tuple[Role, Ground], Style] = {}

    def style(self, role: Role, ground: Ground = Ground.PAGE) -> Style:
        key = (role, ground)
        style = self._built.get(key)
        if style is None:
            style = self._built[key] = self._grounds[ground] + self._roles[role]
        return style


def themes_dir() -> Path:
    """Where the theme files are: beside this package in a wheel, at the top of a source tree."""
    here = Path(__file__).resolve().parent
    installed = here / "themes"
    return installed if installed.is_dir() else here.parent / "themes"


def read_theme(path: Path) -> ThemeFile:
    """One theme, checked.

    Raises `UsageError` that names the file and what is wrong in it.
    """
    try:
        theme = msgspec.convert(parse(text_of(path, FILE_BYTES), f"theme {path.name}", object), ThemeFile)
    except msgspec.ValidationError as error:
        raise UsageError(f"theme {path.name}: {error}") from None
    _check_roles(path, theme)
    return theme


def _check_roles(path: Path, theme: ThemeFile) -> None:
    if theme.name != path.stem:
        raise UsageError(f"theme {path.name}: its name is {theme.name!r}; it must be that of the file, {path.stem!r}")
    wanted: tuple[tuple[str, dict[Role, str], tuple[Role, ...]], ...] = (
        ("text", theme.text, TEXT_ROLES),
        ("status", theme.status, STATUS_ROLES),
    )
    for section, given, roles in wanted:
        missing = [role.value for role in roles if role not in given]
        surplus = [role.value for role in given if role not in roles]
        if missing:
            raise UsageError(f"theme {path.name}: {section} lacks {', '.join(missing)}")
        if surplus:
            raise UsageError(f"theme {path.name}: {section} does not take {', '.join(surplus)}")
    missing = [ground.value for ground in Ground if ground not in theme.ground]
    if missing:
        raise UsageError(f"theme {path.name}: ground lacks {', '.join(missing)}")
    for name, text in [*theme.ground.items(), *theme.text.items(), *theme.status.items()]:
        try:
            Style.parse(text)
        except StyleSyntaxError as error:
            raise UsageError(f"theme {path.name}: {name.value}: {error}") from None


@lru_cache(maxsize=1)
def load_themes() -> dict[str, ThemeFile]:
    """Every shipped theme by name. Raises `UsageError` where a file is wrong or the default one is missing."""
    themes = {theme.name: theme for theme in map(read_theme, sorted(themes_dir().glob("*.yaml")))}
    for name in (DEFAULT, COLOURLESS):
        if name not in themes:
            raise UsageError(f"theme {name} is missing from {themes_dir()}")
    return themes


def own_places(home: Path | None, environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Where the user's own themes are looked for; those of the home go before those of the user."""
    config = environment.get("XDG_CONFIG_HOME") or (
        Path(environment["HOME"]) / ".config" if "HOME" in environment else ""
    )
    user = (Path(config) / "headway" / "themes",) if config else ()
    return (*user, home / "themes") if home is not None else user


def find_themes(places: Iterable[Path] = ()) -> tuple[dict[str, ThemeFile], list[str]]:
    """The shipped themes and the user's own, which go before them; and a line for each file that is wrong."""
    themes, problems = dict(load_themes()), []
    for place in places:
        for path in sorted(place.glob("*.yaml")):
            try:
                theme = read_theme(path)
            except UsageError as error:
                problems.append(f"{error.message} ({place})")
            else:
                themes[theme.name] = theme
    return themes, problems


def check_themes(places: Iterable[Path] = ()) -> tuple[int, list[str]]:
    """How many theme files there are, and what is wrong in them, a line for each that is."""
    problems: list[str] = []
    paths = sorted(themes_dir().glob("*.yaml"))
    for path in paths:
        try:
            read_theme(path)
        except UsageError as error:
            problems.append(error.message)
    problems += [f"theme {name} is missing" for name in (DEFAULT, COLOURLESS) if name not in {p.stem for p in paths}]
    own = [(place, path) for place in places for path in sorted(place.glob("*.yaml"))]
    for place, path in own:
        try:
            read_theme(path)
        except UsageError as error:
            problems.append(f"{error.message} ({place})")
    return len(paths) + len(own), problems


def textual_theme(theme: ThemeFile) -> Theme:
    """The same theme for Textual's own widgets."""
    c = theme.colours
    return Theme(
        name=theme.name,
        dark=theme.dark,
        ansi=theme.ansi,
        primary=c.primary,
        secondary=c.secondary,
        accent=c.accent,
        foreground=c.foreground,
        background=c.background,
        surface=c.surface,
        panel=c.panel,
        warning=c.warning,
        error=c.error,
        success=c.success,
        variables=theme.variables,
    )
