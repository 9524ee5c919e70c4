"""Checks that several sections of headway.yaml share. Each gives the way to what is wrong, and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from engine.config.keys import KeyReference
from engine.documents import Complaint, Keys
from engine.units import milliseconds, size

UNLIKELY = 20  #: characters: so long a name has parts


def spans(keys: Keys, one: Struct, *names: str) -> Iterator[Complaint]:
    """Fields that say how long."""
    return _read(keys, one, names, milliseconds)


def sizes(keys: Keys, one: Struct, *names: str) -> Iterator[Complaint]:
    """Fields that say how much memory."""
    return _read(keys, one, names, size)


def variables(keys: Keys, env: Mapping[str, str], passed: Sequence[str]) -> Iterator[Complaint]:
    """What is set for an agent, and what is passed on to it."""
    for variable in (*env, *passed):
        if not variable or "=" in variable or "\0" in variable + env.get(variable, ""):
            yield keys, f"{variable!r} is no name of a variable"


def split_address(url: str) -> SplitResult | None:
    """An address of the web with a host in it; None for what is none, whose parts would raise `ValueError`."""
    try:
        at = urlsplit(url)
        host, port = at.hostname, at.port
    except ValueError:
        return None
    return None if at.scheme not in ("http", "https") or not host or port == 0 else at


def key(keys: Keys, one: KeyReference | None) -> Iterator[Complaint]:
    """Where a key is kept."""
    if one is None:
        return
    if sum(way is not None for way in (one.env, one.file, one.command)) != 1 or one.command == []:
        yield keys, "say where it is kept, in one way: env: NAME, file: PATH or command: [PROGRAM, ...]"
    if one.file is not None and not is_whole(one.file):
        yield (*keys, "file"), "it has to be an absolute path, or begin with ~"
    for name, variable in (("env", one.env), ("variable", one.variable)):
        if variable is not None and (not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable) or _unlikely(variable)):
            yield (*keys, name), "it has to be the name of a variable; the key itself does not belong here"


def _unlikely(variable: str) -> bool:
    """Whether it is a key rather than the name of a variable: long, one word, with digits in it."""
    return len(variable) >= UNLIKELY and "_" not in variable and any(one.isdigit() for one in variable)


def is_whole(path: str) -> bool:
    return path.startswith(("/", "~"))


def _read(keys: Keys, one: Struct, names: Sequence[str], read: Callable[[str | int], int]) -> Iterator[Complaint]:
    for name in names:
        value = getattr(one, name)
        try:
            if value is not None:
                read(value)
        except ValueError as error:
            yield (*keys, name), str(error)
