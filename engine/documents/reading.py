"""A document read as one type: its value, as far as it can be read, and all that is wrong in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from engine.documents.door import BOUNDS, Bounds
from engine.documents.mistakes import Complaint, DocumentError, Mistake, path_of
from engine.documents.tree import Tree, read_tree
from engine.documents.walk import Walk, plain

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """What a document says."""

    name: str
    tree: Tree
    mistakes: list[Mistake]
    value: T | None
    """Where something is wrong, with something harmless in its place; None where that is not possible."""

    def complain(self, complaints: Iterable[Complaint]) -> None:
        """Add what is wrong beyond the types. What is said of a value that nobody wrote is left out."""
        wrong = {mistake.keys for mistake in self.mistakes if mistake.keys}
        for keys, why in complaints:
            if not any(keys[:length] in wrong for length in range(1, len(keys) + 1)):
                self.mistakes.append(Mistake(self.tree.line_of(keys), f"{path_of(keys)}: {why}"))

    def checked(self) -> T:
        """The value, raising `DocumentError` with every mistake where there is one."""
        if self.mistakes or self.value is None:
            raise DocumentError(self.name, self.mistakes)
        return self.value


def examine(text: str, name: str, kind: type[T], bounds: Bounds = BOUNDS) -> Reading[T]:
    """Read all of a document. Raises `DocumentError` only for text that is no YAML."""
    tree, mistakes = read_tree(text, name, bounds)
    try:
        return Reading(name, tree, mistakes, msgspec.convert(tree.value, kind))
    except msgspec.ValidationError as error:
        walk = Walk()
        mended = walk.mend(tree, kind, ())
        mistakes += walk.mistakes or ([] if mistakes else [Mistake(tree.line, plain(str(error)))])
    try:
        return Reading(name, tree, mistakes, msgspec.convert(mended, kind))
    except msgspec.ValidationError:
        return Reading(name, tree, mistakes, None)


def parse(text: str, name: str, kind: type[T], bounds: Bounds = BOUNDS) -> T:
    """The document as that type, raising `DocumentError` with every mistake in it. An empty one is `{}`."""
    return examine(text, name, kind, bounds).checked()
