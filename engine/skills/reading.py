"""A SKILL.md -> its head and its text. Every error names the line.

The head is read by its YAML nodes and nothing is constructed: a value is the text that stands there. What could make a
small file large, or a reader run something, is refused: anchors, aliases, tags, depth, size.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from engine.documents import Bounds, NotYamlError, compose
from engine.skills.skill import FILE

SIZE_LIMIT = 256 << 10  #: bytes of a SKILL.md: a text of 5,000 tokens has some 20,000
HEAD_LIMIT = 16 << 10  #: characters of its head; the longest that the format allows is below 3,000
DEPTH_LIMIT = 8  #: `metadata` is one level deep

Value = str | list[Any] | dict[str, Any]

_PLAIN = re.compile(r"^(?P<key>[A-Za-z-]+):[ \t]+(?P<value>[^\s'\"|>&*!\[{].*?)[ \t]*$")


class BadSkillError(ValueError):
    """What is wrong with a skill, in one line."""


@dataclass(frozen=True, slots=True)
class Document:
    """A SKILL.md in its parts."""

    head: Mapping[str, Value]
    body: str
    remarks: tuple[str, ...] = ()
    """What had to be overlooked to read it."""
    strict: tuple[str, ...] = ()
    """What a strict reader of the format refuses, though it could be read."""


def read_document(data: bytes, name: str = FILE) -> Document:
    """Read a SKILL.md, or a file of its form that has another name. Raises `BadSkillError`."""
    if len(data) > SIZE_LIMIT:
        raise BadSkillError(f"{name} is larger than {SIZE_LIMIT >> 10} KiB: put the details into references/")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadSkillError(f"{name} is not UTF-8") from None
    strict = [f"{name} begins with a byte order mark"] if text.startswith("\ufeff") else []
    lines = re.split(r"\r\n|\n|\r", text.removeprefix("\ufeff"))
    if lines[0].rstrip() != "---":
        raise BadSkillError(f"{name} must begin with a line of ---")
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), None)
    if end is None:
        raise BadSkillError(f"the head of {name} has no closing line of ---")
    head = "\n".join(["", *lines[1:end]])  # so that lines are counted as in the file
    if len(head) > HEAD_LIMIT:
        raise BadSkillError(f"the head of {name} is longer than {HEAD_LIMIT >> 10} KiB")
    if "---" in head:
        strict.append(f"a --- in the head of {name}: some readers take it for its end")
    remarks = []
    try:
        values, more = _head(head, name)
    except BadSkillError as error:
        mended = "\n".join(map(_quoted, head.split("\n")))
        if mended == head:
            raise
        try:
            values, more = _head(mended, name)
        except BadSkillError:
            raise error from None
        remarks.append(f"{error}: quote that value")
        strict.append(str(error))
    return Document(values, "\n".join(lines[end + 1 :]).strip("\n"), tuple(remarks), (*strict, *more))


def _quoted(line: str) -> str:
    """A line whose value has a colon in it, as its writer meant it."""
    found = _PLAIN.match(line)
    if found is None or ": " not in found["value"]:
        return line
    return f"{found['key']}: '{found['value'].replace(chr(39), chr(39) * 2)}'"


def _head(text: str, name: str) -> tuple[dict[str, Value], list[str]]:
    """The values, and what a strict reader refuses in them. Raises `BadSkillError`."""
    strict: list[str] = []

    def see(event: yaml.Event, line: int) -> None:
        where = f"line {line} of {name}"
        if getattr(event, "anchor", None) is not None:
            raise BadSkillError(f"{where}: anchors and aliases are not allowed")
        if (tag := getattr(event, "tag", None)) is not None:
            raise BadSkillError(f"{where}: a tag such as {str(tag)[:40]!r} is not allowed")
        if isinstance(event, yaml.CollectionStartEvent) and event.flow_style:
            strict.append(f"{where}: a list or mapping in brackets: write one entry a line")

    try:
        node, _ = compose(text, Bounds(depth=DEPTH_LIMIT), see)
    except NotYamlError as error:
        place = f"line {error.line} of {name}" if error.line is not None else name
        raise BadSkillError(f"{place}: {str(error).removeprefix('not valid YAML: ')}") from None
    if not isinstance(node, yaml.MappingNode):
        raise BadSkillError(f"the head of {name} is not a mapping of names to values")
    value = _value(node, name)
    assert isinstance(value, dict)
    return value, strict


def _value(node: yaml.Node, file: str) -> Value:
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_value(one, file) for one in node.value]
    found: dict[str, Any] = {}
    for key, value in node.value:
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
        if not name or name in found:
            line = f"line {key.start_mark.line + 1} of {file}"
            raise BadSkillError(f"{line}: {f'{name!r} stands here twice' if name else 'this is no name'}")
        found[name] = _value(value, file)
    return found
