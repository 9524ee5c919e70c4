"""YAML text -> plain values, each with its line. What cannot be read is a mistake, and the rest is read anyway."""

from __future__ import annotations

import re
import typing
from dataclasses import dataclass, field, replace
from typing import Any, Final

import yaml

from engine.documents.mistakes import DocumentError, Keys, Mistake, path_of

SIZE_LIMIT = 64 << 20  #: characters; a job file of this size holds hundreds of thousands of jobs
DEPTH_LIMIT = 100  #: collections in collections; libyaml builds its nodes by recursion and takes the process with it
_LIBYAML_TOO_DEEP = "exceeded maximum nesting depth"  #: its scanner, which runs ahead of us, has a limit since 6.0.4

_PLAIN = "tag:yaml.org,2002:"
_TEXT = frozenset(f"{_PLAIN}{tag}" for tag in ("str", "value", "merge"))  #: YAML 1.1 takes a lone = and << for more
_WORDS = frozenset(f"{_PLAIN}{tag}" for tag in ("null", "bool", "int", "float", "binary"))
_BREAKS = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML, without timestamps: a time stays the text that the person wrote."""

    yaml_implicit_resolvers: typing.ClassVar[dict[str, Any]] = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


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


def read_tree(text: str, name: str) -> tuple[Tree, list[Mistake]]:
    """The document, and what YAML lets through or trips over. An empty one is `{}`.

    Raises `DocumentError` for text that is no YAML at all: nothing behind that place means anything.
    """
    if len(text) > SIZE_LIMIT:
        raise DocumentError(name, [Mistake(None, f"larger than {SIZE_LIMIT >> 20} MiB")])
    if found := yaml.reader.Reader.NON_PRINTABLE.search(text):
        line = lines_in(text[: found.start()])
        raise DocumentError(name, [Mistake(line, f"the character U+{ord(found[0]):04X} is not allowed in YAML")])
    try:
        _refuse_endless(text, name)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None or node.tag == f"{_PLAIN}null":
                return Tree(1, {}), []
            growing = _Growing(loader, lines_in(text))
            return growing.tree(node, ()), growing.mistakes
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line + 1, lines_in(text)) if mark else 1
        if error.problem == _LIBYAML_TOO_DEEP:
            raise _too_deep(name, line) from None
        raise DocumentError(name, [Mistake(line, f"not valid YAML: {error.problem or error.context}")]) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise DocumentError(name, [Mistake(1, f"not valid YAML: {' '.join(str(error).split())}")]) from None


def lines_in(text: str) -> int:
    """How many lines there are as YAML counts them; what follows the last break is one."""
    return len(_BREAKS.findall(text)) + 1


def _refuse_endless(text: str, name: str) -> None:
    """An alias can stand for a document that never ends, and a file of brackets be deeper than any stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise DocumentError(name, [Mistake(_line(event), "anchors and aliases are not allowed here")])
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_LIMIT:
            raise _too_deep(name, _line(event))


def _too_deep(name: str, line: int) -> DocumentError:
    return DocumentError(name, [Mistake(line, f"more than {DEPTH_LIMIT} levels deep")])


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1


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
            if node.tag in _TEXT:
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
