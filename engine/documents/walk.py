"""What a type refuses in a document, all of it, and the document with something harmless in those places."""

from __future__ import annotations

import functools
import re
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, Final

import msgspec

from engine.documents.mistakes import Keys, Mistake, nearest, path_of
from engine.documents.tree import UNREADABLE, Tree

HINTED = 100  #: mistakes that come with the nearest right word: what is looked for 10,000 times takes seconds
NOTHING: Final = object()  #: there is none, or no harmless one of that type
_HARMLESS: tuple[Any, ...] = ("", "-", 0, 1, [], {}, False, 0.5, None)


class Walk:
    """One walk over a document. `mistakes` are in the order in which they were met."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []
        self._replaced = 0

    def mend(self, tree: Tree, kind: Any, keys: Keys) -> Any:
        """The value, with harmless parts where parts of it are wrong; `NOTHING` where it is wrong as a whole."""
        if tree.value is UNREADABLE:  # that was told when it was read
            self._replaced += 1
            return NOTHING
        before = self._replaced
        mended = self._inside(tree, _bare(_present(_bare(kind), tree.value)), keys)
        if self._replaced > before:
            return mended if _fits(mended, kind) else NOTHING
        if why := _refused(tree.value, kind):
            self._replace(tree.line, keys, f"{path_of(keys)}: {why}")
            return NOTHING
        return tree.value

    def _inside(self, tree: Tree, kind: Any, keys: Keys) -> Any:
        """What a collection is made of, each part held against its own type."""
        origin, value = typing.get_origin(kind), tree.value
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
            return self._struct(tree, kind, keys)
        if origin in (list, tuple) and isinstance(value, list):
            item, *_ = typing.get_args(kind)
            return [self._part(child, item, (*keys, place)) for place, child in tree.children.items()]
        if origin is dict and isinstance(value, dict):
            key_kind, value_kind = typing.get_args(kind)
            return self._mapping(tree, key_kind, value_kind, keys)
        return value

    def _part(self, tree: Tree, kind: Any, keys: Keys) -> Any:
        """One that may not go missing: others are told by their place, or refer to its name."""
        mended = self.mend(tree, kind, keys)
        return harmless(kind) if mended is NOTHING else mended

    def _mapping(self, tree: Tree, key_kind: Any, value_kind: Any, keys: Keys) -> dict[Any, Any]:
        made = {}
        for key, child in tree.children.items():
            if why := _refused(key, key_kind):
                self._leave_out(tree.key_lines[key], f"{path_of(keys)}: {why}")
            else:
                made[key] = self._part(child, value_kind, (*keys, str(key)))
        return made

    def _struct(self, tree: Tree, kind: type[msgspec.Struct], keys: Keys) -> dict[Any, Any]:
        hints = _hints(kind)
        for key in tree.children:
            if key not in hints:
                hint = f"; {nearest(str(key), hints)}" if len(self.mistakes) < HINTED else ""
                why = f"no key {str(key)!r}{hint}"
                self._leave_out(tree.key_lines[key], f"{path_of(keys)}: {why}")
        made = {}
        for field in _fields(kind):
            mended = NOTHING
            name = field.encode_name  # as people write it: some would be words of Python
            if name in tree.children:
                mended = self.mend(tree.children[name], hints[name], (*keys, name))
            elif field.required:
                self._replace(tree.line, (*keys, name), f"{path_of(keys)}: {name!r} is missing")
            if mended is not NOTHING:
                made[name] = mended
            elif field.required:
                made[name] = harmless(hints[name])
        return made

    def _leave_out(self, line: int, what: str) -> None:
        self._replace(line, (), what)

    def _replace(self, line: int, keys: Keys, what: str) -> None:
        self._replaced += 1
        self.mistakes.append(Mistake(line, what.removeprefix(": "), keys))


def harmless(kind: Any) -> Any:
    """A value that the type accepts and that nobody wrote."""
    for value in _HARMLESS:
        if _fits(value, kind):
            return value
    kind = _bare(kind)
    members = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    for member in members:
        if isinstance(member, type) and issubclass(member, Enum):
            return next(iter(member)).value
        if isinstance(member, type) and issubclass(member, msgspec.Struct):
            hints = _hints(member)
            fields = [one.encode_name for one in _fields(member) if one.required]
            parts = {name: harmless(hints[name]) for name in fields}
            return NOTHING if NOTHING in parts.values() else parts
    return NOTHING


def plain(said: str) -> str:
    """msgspec's words for a reader who thinks in YAML."""
    said = said.split(" - at `")[0].replace("`", "")
    for theirs, ours in (("array", "a list"), ("object", "a mapping"), ("str", "text"), ("null", "nothing")):
        said = re.sub(rf"\b{theirs}\b", ours, said)
    return said[:1].lower() + said[1:]


def _refused(value: Any, kind: Any) -> str:
    """Why the type refuses a value; empty where it does not."""
    why = _said(value, kind)
    meant = _present(_bare(kind), value)
    if not why:
        return ""
    if isinstance(meant, type) and issubclass(meant, Enum) and isinstance(value, str):
        return f"{value!r} is not valid; {nearest(value, (str(member.value) for member in meant))}"
    return _said(value, meant) or why


def _said(value: Any, kind: Any) -> str:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return plain(str(error))
    return ""


def _fits(value: Any, kind: Any) -> bool:
    return not _said(value, kind)


@functools.cache
def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Worked out once: msgspec reads all annotations anew each time, which takes a millisecond."""
    return msgspec.structs.fields(kind)


@functools.cache
def _hints(kind: type[msgspec.Struct]) -> Mapping[str, Any]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return {field.encode_name: hints[field.name] for field in _fields(kind)}


def _bare(kind: Any) -> Any:
    """A type without what is said of it."""
    return _bare(typing.get_args(kind)[0]) if typing.get_origin(kind) is Annotated else kind


def _present(kind: Any, value: Any) -> Any:
    """The member of a union that a value is meant to be: the only one, or the one of its shape."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType) or value is None:
        return kind
    members = [member for member in typing.get_args(kind) if member is not types.NoneType]
    for member in members:
        bare = _bare(member)
        struct = isinstance(bare, type) and issubclass(bare, msgspec.Struct)
        if len(members) == 1 or (struct and isinstance(value, dict)):
            return member
        if typing.get_origin(bare) is list and isinstance(value, list):
            return member
    return kind
