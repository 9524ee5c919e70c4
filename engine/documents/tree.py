"""YAML text -> plain values, each with its line. What cannot be read is a mistake, and the rest is read anyway."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import yaml

from engine.documents.door import BOUNDS, Bounds, NotYamlError, compose, lines_in
from engine.documents.mistakes import DocumentError, Keys, Mistake, path_of

_PLAIN = "tag:yaml.org,2002:"
_TEXT = frozenset(f"{_PLAIN}{tag}" for tag in ("str", "value", "merge"))  #: YAML 1.1 takes a lone = and << for more
_NUMBERS = frozenset(f"{_PLAIN}{tag}" for tag in ("int", "float"))
_WORDS = _NUMBERS | {f"{_PLAIN}{tag}" for tag in ("null", "bool", "binary")}


class _Unreadable:
    """What stands for a value that YAML itself cannot make anything of. No type accepts it."""


UNREADABLE: Final = _Unreadable()


@dataclass(slots=True)
class Tree:
    """One value of a document."""

    line: int
    """Where it begins, from 1."""
    value: Any
    children: dict[Any, Tree] = field(default_factory=dict)
    """Of a mapping by key, of a list by place."""
    key_lines: dict[Any, int] = field(default_factory=dict)

    def line_of(self, keys: Keys) -> int:
        """The line of the last of these keys that is here."""
        line, at = self.line, self
        for key in keys:
            child = at.children.get(key)
            if child is None:
                break
            line, at = at.key_lines.get(key, child.line), child
        return line


def read_tree(text: str, name: str, bounds: Bounds = BOUNDS) -> tuple[Tree, list[Mistake]]:
    """The document, and what YAML lets through or trips over. An empty one is `{}`.

    Raises `DocumentError` for text that is no YAML at all: nothing behind that place means anything.
    """
    try:
        node, loader = compose(text, bounds)
    except NotYamlError as error:
        raise DocumentError(name, [Mistake(error.line, str(error))]) from None
    if node is None or node.tag == f"{_PLAIN}null":
        return Tree(1, {}), []
    growing = _Growing(loader, lines_in(text))
    return growing.tree(node, ()), growing.mistakes


class _Growing:
    """Makes values of nodes, and notes those of which nothing can be made."""

    def __init__(self, loader: Any, lines: int) -> None:
        self._loader = loader
        self._lines = lines
        self.mistakes: list[Mistake] = []

    def _line(self, node: yaml.Node) -> int:
        """Where it begins: the value that a last key lacks is behind the end for LibYAML."""
        return min(node.start_mark.line + 1, self._lines)

    def tree(self, node: yaml.Node, keys: Keys) -> Tree:
        line = self._line(node)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_PLAIN}map":
            return self._mapping(node, line, keys)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_PLAIN}seq":
            items = [self.tree(item, (*keys, place)) for place, item in enumerate(node.value)]
            return Tree(line, [item.value for item in items], dict(enumerate(items)))
        return Tree(line, self._scalar(node, keys))

    def _mapping(self, node: yaml.MappingNode, line: int, keys: Keys) -> Tree:
        """YAML lets the last of two equal keys win in silence; here the first one counts, and the next is a mistake."""
        made = Tree(line, {})
        for key_node, value_node in node.value:
            at = self._line(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.mistakes.append(_told(at, keys, "a key cannot be a list or a mapping"))
                continue
            key = self._scalar(key_node, keys)
            if key is UNREADABLE:
                continue
            if key in made.value:
                self.mistakes.append(_told(at, keys, f"{key_node.value!r} stands here twice"))
                continue
            made.children[key] = child = self.tree(value_node, (*keys, str(key)))
            made.value[key] = child.value
            made.key_lines[key] = at
        return made

    def _scalar(self, node: yaml.Node, keys: Keys) -> Any:
        if isinstance(node, yaml.ScalarNode):
            # To YAML 1.1 the time 12:30 is 750, and a line of colons a number that takes minutes to work out.
            if node.tag in _TEXT or (node.tag in _NUMBERS and ":" in node.value):
                return node.value
            if node.tag in _WORDS:
                try:
                    return self._loader.construct_object(node)
                except (yaml.YAMLError, ValueError, LookupError, AttributeError):
                    pass  # the constructors raise whatever comes to their mind
        word = str(node.tag).rpartition(":")[2]
        line = self._line(node)
        self.mistakes.append(replace(_told(line, keys, f"this cannot be read as {word}"), keys=keys))
        return UNREADABLE


def _told(line: int, keys: Keys, why: str) -> Mistake:
    return Mistake(line, f"{path_of(keys)}: {why}".removeprefix(": "))
