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

from engine.skills.skill import FILE

SIZE_LIMIT = 256 << 10  #: bytes of a SKILL.md: a text of 5,000 tokens has some 20,000
HEAD_LIMIT = 16 << 10  #: characters of its head; the longest that the format allows is below 3,000
DEPTH_LIMIT = 8  #: `metadata` is one level deep

Value = str | list[Any] | dict[str, Any]

_PLAIN = re.compile(r"^(?P<key>[A-Za-z-]+):[ \t]+(?P<value>[^\s'\"|>&*!\[{].*?)[ \t]*$")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
    if bad := yaml.reader.Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        raise BadSkillError(f"line {line} of {name}: the character U+{ord(bad[0]):04X} is not allowed")
    strict: list[str] = []
    try:
        _refuse(text, strict, name)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1} of " if mark else ""
        raise BadSkillError(f"{place}{name}: {error.problem or error.context or 'not YAML'}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise BadSkillError(f"the head of {name}: {' '.join(str(error).split())}") from None
    if not isinstance(node, yaml.MappingNode):
        raise BadSkillError(f"the head of {name} is not a mapping of names to values")
    value = _value(node, name)
    assert isinstance(value, dict)
    return value, strict


def _refuse(text: str, strict: list[str], name: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        mark = event.start_mark
        where = f"line {mark.line + 1} of {name}" if mark is not None else name
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise BadSkillError(f"{where}: anchors and aliases are not allowed")
        if (tag := getattr(event, "tag", None)) is not None:
            raise BadSkillError(f"{where}: a tag such as {str(tag)[:40]} is not allowed")
        if isinstance(event, yaml.CollectionStartEvent):
            if event.flow_style:
                strict.append(f"{where}: a list or mapping in brackets: write one entry a line")
            depth += 1
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_LIMIT:
            raise BadSkillError(f"{where}: more than {DEPTH_LIMIT} levels deep")


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
