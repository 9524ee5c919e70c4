"""YAML that people write -> typed values. Every error names file, line, key, and the nearest valid word.

msgspec decides what is valid. Only where it says no is the document walked again, beside its YAML nodes, to find the
line: msgspec's own path leaves out the keys of mappings.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

import msgspec
import yaml

from engine.errors import UsageError

T = TypeVar("T")

SIZE_LIMIT = 64 << 20  #: characters; a job file of this size holds hundreds of thousands of jobs
DEPTH_LIMIT = 100  #: collections in collections; libyaml builds its nodes by recursion and takes the process with it
_LIBYAML_TOO_DEEP = "exceeded maximum nesting depth"  #: its scanner, which runs ahead of us, has a limit since 6.0.4


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML, without timestamps: a time stays the text that the person wrote."""

    yaml_implicit_resolvers: typing.ClassVar[dict[str, Any]] = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """As in YAML, where what the constructors cannot make anything of raises whatever comes to their mind."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError):
            word = str(node.tag).rpartition(":")[2]
            raise yaml.constructor.ConstructorError(
                None, None, f"this cannot be read as {word}", node.start_mark
            ) from None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry of a list stands: its own line and those of its keys, from 1."""

    line: int
    keys: Mapping[str, int]


def parse(text: str, name: str, kind: type[T]) -> T:
    """The document as that type, raising `UsageError` for the first thing that is wrong. An empty one is `{}`."""
    node, data = _read(text, name)
    return _convert(node, data, name, kind)


def parse_list(text: str, name: str, kind: type[T], key: str) -> tuple[T, list[Place]]:
    """A document that is a list, or a mapping that holds the list under `key`, with the places of its entries."""
    node, data = _read(text, name)
    value = _convert(node, data, name, kind)
    listed = _value(node, key) if isinstance(node, yaml.MappingNode) else node
    found = listed.value if isinstance(listed, yaml.SequenceNode) else []
    return value, [
        Place(one.start_mark.line + 1, {str(k.value): k.start_mark.line + 1 for k, _ in _pairs(one)}) for one in found
    ]


def line_of(text: str, *keys: str) -> int:
    """The line, from 1, on which a key of a valid document stands, found by the keys that lead to it."""
    node, found = _read(text, "")[0], 1
    for key in keys:
        named = _key(node, key)
        if named is None:
            break
        found, node = named.start_mark.line + 1, _value(node, key)
    return found


def _convert(node: yaml.Node | None, data: Any, name: str, kind: type[T]) -> T:
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        where = _Walk(name).find(data, kind, node, "")
        raise where or UsageError(f"{name}: {_plain(str(error))}") from None


def _read(text: str, name: str) -> tuple[yaml.Node | None, Any]:
    if len(text) > SIZE_LIMIT:
        raise UsageError(f"{name}: larger than {SIZE_LIMIT >> 20} MiB")
    if bad := yaml.reader.Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        raise UsageError(f"{name}, line {line}: the character U+{ord(bad[0]):04X} is not allowed in YAML")
    try:
        _refuse_endless(text, name)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None or node.tag == "tag:yaml.org,2002:null":
                return None, {}
            _refuse_repeats(node, name)
            return node, loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}" if mark else ""
        if error.problem == _LIBYAML_TOO_DEEP:
            raise UsageError(f"{name}{place}: more than {DEPTH_LIMIT} levels deep") from None
        raise UsageError(f"{name}{place}: not valid YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise UsageError(f"{name}: not valid YAML: {' '.join(str(error).split())}") from None


def _plain(said: str) -> str:
    """msgspec's words for a reader who thinks in YAML."""
    said = said.split(" - at `")[0].replace("`", "")
    for theirs, ours in (("array", "a list"), ("object", "a mapping"), ("str", "text"), ("null", "nothing")):
        said = re.sub(rf"\b{theirs}\b", ours, said)
    return said[:1].lower() + said[1:]


def nearest(word: str, words: typing.Iterable[str]) -> str:
    """A hint that ends an error: the nearest valid word, or all of them."""
    known = sorted(str(one) for one in words)
    near = difflib.get_close_matches(word, known, 1, 0.6)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"


def _refuse_endless(text: str, name: str) -> None:
    """An alias can stand for a document that never ends, and a file of brackets be deeper than any stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise UsageError(f"{name}, line {_line(event)}: anchors and aliases are not allowed here")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_LIMIT:
            raise UsageError(f"{name}, line {_line(event)}: more than {DEPTH_LIMIT} levels deep")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1


def _refuse_repeats(root: yaml.Node, name: str) -> None:
    """YAML lets the last of two equal keys win in silence."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            keys = set()
            for key, value in node.value:
                if key.value in keys if isinstance(key, yaml.ScalarNode) else False:
                    raise UsageError(f"{name}, line {key.start_mark.line + 1}: {key.value!r} stands here twice")
                keys.add(key.value if isinstance(key, yaml.ScalarNode) else None)
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)


class _Walk:
    """Finds the first value that its type refuses."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find(self, data: Any, kind: Any, node: yaml.Node | None, key: str) -> UsageError | None:
        kind = _present(kind, data)
        origin = typing.get_origin(kind)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(data, dict):
            return self._struct(data, kind, node)
        if origin in (list, tuple) and isinstance(data, list):
            (item, *_) = typing.get_args(kind)
            for index, value in enumerate(data):
                if found := self.find(value, item, _item(node, index), key):
                    return found
            return None
        if origin is dict and isinstance(data, dict):
            (key_kind, value_kind) = typing.get_args(kind)
            for name, value in data.items():
                if found := self._leaf(name, key_kind, _key(node, name) or node, key):
                    return found
                if found := self.find(value, value_kind, _value(node, name), f"{key}.{name}" if key else str(name)):
                    return found
            return None
        return self._leaf(data, kind, node, key)

    def _struct(self, data: dict[Any, Any], kind: type[msgspec.Struct], node: yaml.Node | None) -> UsageError | None:
        hints = typing.get_type_hints(kind, include_extras=True)
        for key in data:
            if key not in hints:
                at = _key(node, key) or node
                return self._error(at, f"no key {str(key)!r}; {nearest(str(key), hints)}")
        for field in msgspec.structs.fields(kind):
            if field.name not in data:
                if field.required:
                    return self._error(node, f"{field.name!r} is missing")
                continue
            if found := self.find(data[field.name], hints[field.name], _value(node, field.name), field.name):
                return found
        return None

    def _leaf(self, data: Any, kind: Any, node: yaml.Node | None, key: str) -> UsageError | None:
        try:
            msgspec.convert(data, kind)
        except msgspec.ValidationError as error:
            if isinstance(kind, type) and issubclass(kind, Enum) and isinstance(data, str):
                hint = nearest(data, (str(member.value) for member in kind))
                return self._error(node, f"{key}: {data!r} is not valid; {hint}")
            said = _plain(str(error))
            return self._error(node, f"{key}: {said}" if key else said)
        return None

    def _error(self, node: yaml.Node | None, what: str) -> UsageError:
        line = f", line {node.start_mark.line + 1}" if node is not None else ""
        return UsageError(f"{self._name}{line}: {what}")


def _present(kind: Any, data: Any) -> Any:
    """The member of a union that a value is meant to be: the only one, or the one of its shape."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType) or data is None:
        return kind
    members = [member for member in typing.get_args(kind) if member is not types.NoneType]
    for member in members:
        struct = isinstance(member, type) and issubclass(member, msgspec.Struct)
        if len(members) == 1 or (struct and isinstance(data, dict)):
            return member
        if typing.get_origin(member) is list and isinstance(data, list):
            return member
    return kind


def _key(node: yaml.Node | None, key: object) -> yaml.Node | None:
    return next((k for k, _ in _pairs(node) if k.value == str(key)), None)


def _value(node: yaml.Node | None, key: object) -> yaml.Node | None:
    return next((value for k, value in _pairs(node) if k.value == str(key)), node)


def _pairs(node: yaml.Node | None) -> list[tuple[yaml.Node, yaml.Node]]:
    return node.value if isinstance(node, yaml.MappingNode) else []


def _item(node: yaml.Node | None, index: int) -> yaml.Node | None:
    return node.value[index] if isinstance(node, yaml.SequenceNode) else node
