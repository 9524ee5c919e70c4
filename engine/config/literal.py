"""Keys that stand in a file of settings themselves, where only the way to one belongs."""

from __future__ import annotations

from collections.abc import Iterator

from engine.documents import Complaint, Keys
from engine.documents.tree import Tree
from engine.redact import is_key

INSTEAD = "keep it elsewhere and say where: key: {env: NAME}, {file: PATH} or {command: [PROGRAM]}, or pass_env: [NAME]"


def literals(tree: Tree, keys: Keys = ()) -> Iterator[Complaint]:
    """The places of a document that hold a key. What it is, is not told."""
    if isinstance(tree.value, str) and is_key(tree.value):
        yield keys, f"there is a key in this; {INSTEAD}"
    for name, child in tree.children.items():
        if isinstance(name, str) and is_key(name):
            yield keys, f"there is a key in the name of one of these; {INSTEAD}"
        else:
            yield from literals(child, (*keys, name))
