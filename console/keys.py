"""Which keys do what: the table's own, moved by the operator's settings. Nothing here draws."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from console.actions import ACTIONS, BY_ID, TOGETHER, Action
from engine.documents import parse, text_of
from engine.errors import UsageError

_KEYMAPS = Path(__file__).parent / "keymaps"

_NAMES = {
    "backspace", "delete", "down", "end", "enter", "escape", "home", "insert", "left", "pagedown", "pageup", "right",
    "space", "tab", "up", *(f"f{n}" for n in range(1, 25)),
}  # fmt: skip

#: Bytes that a terminal cannot tell from backspace, tab, enter and escape, and the interrupt key.
_TAKEN = {"ctrl+h", "ctrl+i", "ctrl+m", "ctrl+[", "ctrl+c"}

_SHOWN = {"escape": "esc", "pagedown": "pgdn", "pageup": "pgup", "down": "↓", "up": "↑"}


class Keymap:
    """The keys of every action. `Keymap()` is the default one; `moved` makes one from the settings."""

    def __init__(self, moved: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.moved = dict(moved or {})

    def keys_of(self, action: Action) -> tuple[str, ...]:
        return self.moved.get(action.id, action.keys)

    def shown(self, action: Action) -> str:
        """The keys as a person reads them: `^d`, `esc`, `j ↓`."""
        return " ".join(show_key(key) for key in self.keys_of(action))

    def for_textual(self) -> dict[str, str]:
        return {name: ",".join(keys) for name, keys in self.moved.items()}


def show_key(key: str) -> str:
    return _SHOWN.get(key, key.replace("ctrl+", "^"))


def keymap_names() -> list[str]:
    """The keymaps that are shipped."""
    return sorted(path.stem for path in _KEYMAPS.glob("*.yaml"))


def _shipped(name: str) -> dict[str, str]:
    known = keymap_names()
    if name not in known:
        raise UsageError(f"keymap: there is no {name!r}; there are {', '.join(known)}")
    path = _KEYMAPS / f"{name}.yaml"
    return parse(text_of(path), path.name, dict[str, str])


def moved_keys(settings: Mapping[str, str], keymap_name: str | None = None) -> Keymap:
    """The keymap that the settings ask for: action id -> key, or several with commas; on top of a shipped keymap.

    Raises `UsageError` for an action that does not exist (naming the nearest), a key that no terminal sends, and a
    key that would do two things at the same place.
    """
    moved: dict[str, tuple[str, ...]] = {}
    shipped = _shipped(keymap_name) if keymap_name else {}
    for name, text in (shipped | dict(settings)).items():
        action = BY_ID.get(name)
        if action is None:
            near = get_close_matches(name, BY_ID, 1, 0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"keys: there is no action {name!r}{hint}")
        if not action.keys and action.argument:
            raise UsageError(f"keys: {name!r} takes {action.argument} and is a command, :{action.command}")
        moved[name] = tuple(_checked(name, key.strip()) for key in text.split(","))
    keymap = Keymap(moved)
    _refuse_clashes(keymap)
    return keymap


def _checked(name: str, key: str) -> str:
    if key in _TAKEN:
        raise UsageError(f"keys: {name}: {key!r} cannot be used; terminals and the console need it")
    base = re.sub(r"^((ctrl|alt|shift)\+)+", "", key)
    if len(base) == 1 and base.isprintable() and base != " ":
        return key
    if base in _NAMES:
        return key
    near = get_close_matches(key, _NAMES, 1, 0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"keys: {name}: {key!r} is not a key{hint}")


def _refuse_clashes(keymap: Keymap) -> None:
    for group in TOGETHER:
        owner: dict[str, Action] = {}
        for action in ACTIONS:
            if action.scope not in group:
                continue
            for key in keymap.keys_of(action):
                other = owner.setdefault(key, action)
                if other is not action:
                    raise UsageError(f"keys: {key!r} would do both {other.id!r} and {action.id!r}")
