"""An archive as text for people and other programs, and back: NDJSON and Markdown, an item a line or a section.

Both hold everything that is known of an item but its vector, which is made anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum

import msgspec
from msgspec.structs import astuple, replace

from engine.errors import UsageError
from engine.foreign import NOT_JSON
from engine.memory.item import Item


class Format(StrEnum):
    NDJSON = "ndjson"
    MARKDOWN = "markdown"


TITLE = "# What Headway remembers\n"
_NUMBERS = 10**18  #: all are below it: 18 digits, which is what a database takes
_HEAD = re.compile(r"^## (\d{1,18}) .*$", re.MULTILINE)
_FACTS = re.compile(r"^<!-- headway: (\{.*\}) -->$", re.MULTILINE)
_ESCAPED = re.compile(r"^(\\*)(#|<!-- headway:)", re.MULTILINE)
_UNESCAPED = re.compile(r"^\\(\\*)(#|<!-- headway:)", re.MULTILINE)


def write(items: Iterable[Item], form: Format) -> Iterator[bytes]:
    """The lines of an export."""
    if form is Format.NDJSON:
        for item in items:
            yield msgspec.json.encode(_bare(item)) + b"\n"
        return
    yield TITLE.encode()
    for item in items:
        yield _section(_bare(item)).encode()


def _bare(item: Item) -> Item:
    return replace(item, embed_model=None, embed_dim=None)


def _section(item: Item) -> str:
    facts = {name: value for name, value in msgspec.to_builtins(item).items() if name != "text"}
    about = f", {item.subject}" if item.subject else ""
    # The line of facts ends with `-->`, which must not come earlier.
    line = msgspec.json.encode(facts).decode().replace("-->", "--\\u003e")
    text = _ESCAPED.sub(r"\\\1\2", item.text)
    return f"\n## {item.id} {item.kind}{about}\n\n{text}\n\n<!-- headway: {line} -->\n"


def read(data: bytes, name: str) -> list[Item]:
    """What `write` wrote, in either form. Raises `UsageError` with the line or the number of what is wrong."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{name} is not UTF-8") from None
    items = list(_markdown(text, name) if text.lstrip().startswith("#") else _ndjson(text, name))
    seen: set[int] = set()
    for item in items:
        if not 0 < item.id < _NUMBERS or any(isinstance(one, int) and abs(one) >= _NUMBERS for one in astuple(item)):
            raise UsageError(f"{name}: a number of the item {item.id} is too large, or no item's number")
        if item.id in seen:
            raise UsageError(f"{name}: the number {item.id} is there twice")
        seen.add(item.id)
    return items


def _ndjson(text: str, name: str) -> Iterator[Item]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield msgspec.json.decode(line, type=Item)
            except NOT_JSON as error:
                raise UsageError(f"{name}, line {number}: {error}") from None


def _markdown(text: str, name: str) -> Iterator[Item]:
    heads = list(_HEAD.finditer(text))
    if not heads and text.strip() != TITLE.strip():
        raise UsageError(f"{name} has no section such as `## 12 fact`: it is Markdown, and no export of memory")
    ends = [*(head.start() for head in heads[1:]), len(text)]
    line, counted = 1, 0
    for head, end in zip(heads, ends, strict=False):
        line, counted = line + text.count("\n", counted, head.start()), head.start()
        section = text[head.end() : end]
        facts = _FACTS.search(section)
        if facts is None:
            raise UsageError(f"{name}, line {line}: the section {head[1]} has no line of facts")
        body = _UNESCAPED.sub(r"\1\2", section[: facts.start()].strip("\n"))
        try:
            given = msgspec.json.decode(facts[1], type=dict[str, msgspec.Raw])
            whole = {**given, "text": msgspec.Raw(msgspec.json.encode(body))}
            yield msgspec.json.decode(msgspec.json.encode(whole), type=Item)
        except NOT_JSON as error:
            raise UsageError(f"{name}, line {line}: {error}") from None
