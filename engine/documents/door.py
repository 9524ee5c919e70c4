"""The one place where YAML is read. It is read to nodes, within bounds, and nothing is constructed on the way.

A small file can stand for a document without end (aliases), be deeper than any stack (brackets), hold more values than
memory does, or name objects of Python to be made (tags). Each is refused with its line before anything is built.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

SIZE_LIMIT = 64 << 20  #: characters; a job file of this size holds hundreds of thousands of jobs
DEPTH_LIMIT = 100  #: collections in collections; libyaml builds its nodes by recursion and takes the process with it
VALUES_LIMIT = 2_000_000  #: keys and values: a node takes half a kilobyte, so that they all take a gigabyte
_LIBYAML_TOO_DEEP = "exceeded maximum nesting depth"  #: its scanner, which runs ahead of us, has a limit since 6.0.4

_BREAKS = re.compile("\\r\\n|[\\n\\r\\x85\\u2028\\u2029]")

See = Callable[[yaml.Event, int], None]
"""Is shown each event of the document and its line, before anything is built."""


class NotYamlError(ValueError):
    """What is wrong, and in which line, from 1."""

    def __init__(self, line: int | None, what: str) -> None:
        super().__init__(what)
        self.line = line


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a document may be."""

    depth: int = DEPTH_LIMIT
    size: int = SIZE_LIMIT
    values: int = VALUES_LIMIT


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML, without timestamps: a time stays the text that the person wrote."""

    yaml_implicit_resolvers: typing.ClassVar[dict[str, Any]] = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


BOUNDS = Bounds()  #: of what nobody says another bound for


def compose(text: str, bounds: Bounds = BOUNDS, see: See | None = None) -> tuple[yaml.Node | None, Loader]:
    """The root of a document, None for an empty one, and what makes values of its scalars.

    `see` may refuse more, by raising what it likes. Raises `NotYamlError`, with the line, for text that is no YAML or
    goes beyond the bounds.
    """
    if len(text) > bounds.size:
        raise NotYamlError(None, f"larger than {_size(bounds.size)}")
    if found := yaml.reader.Reader.NON_PRINTABLE.search(text):
        line = lines_in(text[: found.start()])
        raise NotYamlError(line, f"the character U+{ord(found[0]):04X} is not allowed in YAML")
    try:
        _look_ahead(text, bounds, see)
        loader = Loader(text)
        try:
            return loader.get_single_node(), loader
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line + 1, lines_in(text)) if mark else 1
        if error.problem == _LIBYAML_TOO_DEEP:
            raise _too_deep(line, bounds) from None
        raise NotYamlError(line, f"not valid YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise NotYamlError(1, f"not valid YAML: {' '.join(str(error).split())}") from None


def lines_in(text: str) -> int:
    """How many lines there are as YAML counts them; what follows the last break is one."""
    return len(_BREAKS.findall(text)) + 1


def _look_ahead(text: str, bounds: Bounds, see: See | None) -> None:
    depth = values = 0
    for event in yaml.parse(text, Loader=Loader):
        line = event.start_mark.line + 1 if event.start_mark is not None else 1
        if isinstance(event, yaml.AliasEvent):
            raise NotYamlError(line, "anchors and aliases are not allowed here")
        if isinstance(event, yaml.NodeEvent):
            values += 1
            if values > bounds.values:
                raise NotYamlError(line, f"more than {bounds.values:,} keys and values")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > bounds.depth:
            raise _too_deep(line, bounds)
        if see is not None:
            see(event, line)


def _too_deep(line: int, bounds: Bounds) -> NotYamlError:
    return NotYamlError(line, f"more than {bounds.depth} levels deep")


def _size(characters: int) -> str:
    return f"{characters >> 20} MiB" if characters >= 1 << 20 else f"{characters >> 10} KiB"
