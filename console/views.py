"""Saved views: a filter and an order under a name, in a file of the operator's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import msgspec
import yaml
from msgspec import Meta, Struct

from engine.documents import parse, text_of
from engine.errors import StorageError, UsageError

NAME = "views.yaml"
FILE_BYTES = 1 << 20  #: of it


class View(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a list shows, and in which order."""

    filter: str = ""
    sort: str = ""


#: What everybody looks for. A view of the same name in the file takes its place.
BUILT_IN: Mapping[str, View] = {
    "all": View(),
    "failed": View("st:failed"),
    "running": View("st:running,gating"),
    "waiting": View("st:ready,blocked"),
    "costly": View("cost>1", "cost"),
    "today": View("age<1d"),
    "retried": View("attempts>1", "attempts"),
}

_Name = Annotated[str, Meta(pattern=r"^[A-Za-z][\w.-]{0,30}$")]


def views_file(environment: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_CONFIG_HOME/headway/views.yaml`: they belong to who looks, not to the engine that is looked at."""
    config = environment.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "headway" / NAME


class Views:
    """The views of an operator."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.own: dict[str, View] = {}
        self.problem = ""
        """What is wrong with the file, where something is: the views built in are there nevertheless."""
        self._read()

    def _read(self) -> None:
        try:
            if self._path.exists():
                self.own = parse(text_of(self._path, FILE_BYTES), str(self._path), dict[_Name, View])
        except UsageError as error:
            self.problem = error.message.splitlines()[0]

    @property
    def names(self) -> list[str]:
        """All of them, those built in first."""
        return [*BUILT_IN, *sorted(name for name in self.own if name not in BUILT_IN)]

    def get(self, name: str) -> View:
        """The view of that name. Raises `UsageError` that names the nearest."""
        found = self.own.get(name) or BUILT_IN.get(name)
        if found is None:
            near = get_close_matches(name, self.names, 1, 0.5)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(self.names)}"
            raise UsageError(f"there is no view {name!r}{hint}")
        return found

    def save(self, name: str, view: View) -> None:
        """Keep a view. Raises `UsageError` for what is no name, `StorageError` where the file cannot be written."""
        try:
            msgspec.convert({name: {}}, dict[_Name, View])
        except msgspec.ValidationError:
            raise UsageError(f"{name!r} is no name for a view: letters, digits, - and _, a letter first") from None
        self._write({**self.own, name: view})

    def drop(self, name: str) -> None:
        """Forget a view. Raises `UsageError` where it is none of the operator's own."""
        if name not in self.own:
            raise UsageError(f"{name!r} is built in" if name in BUILT_IN else f"there is no view {name!r}")
        self._write({key: view for key, view in self.own.items() if key != name})

    def _write(self, views: Mapping[str, View]) -> None:
        if self.problem:
            raise StorageError(f"{self.problem}; mend it first, so that nothing in it is lost")
        text = yaml.safe_dump(msgspec.to_builtins(views), sort_keys=True, allow_unicode=True)
        fresh = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(self._path)
        except OSError as error:
            raise StorageError(f"{self._path}: {error.strerror}") from None
        self.own = dict(views)
