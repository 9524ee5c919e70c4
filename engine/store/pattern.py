"""Regular expressions in a filter: only such as come to an end soon, whatever the title is that they meet."""

from __future__ import annotations

import re
import sqlite3
import warnings
from functools import lru_cache

from engine.errors import UsageError

# The only reader of patterns that says how one is built; `re` itself is made of it.
from re import _constants as _op, _parser  # type: ignore[attr-defined]  # isort: skip

PATTERN_LIMIT = 200  #: characters of a pattern
TITLE_LIMIT = 400  #: characters of a title that are looked at
_REPEATS = 4  #: open repeats of a pattern: the time that one takes grows with the title to this power
_OPEN = {_op.MAX_REPEAT, _op.MIN_REPEAT, _op.POSSESSIVE_REPEAT}


def checked(text: str) -> str:
    """A pattern that can be asked of a million titles. Raises `UsageError` that says what is wrong with it."""
    if len(text) > PATTERN_LIMIT:
        raise UsageError(f"filter: a pattern of more than {PATTERN_LIMIT} characters")
    try:
        with _silence():
            tree = _parser.parse(text, re.IGNORECASE)
        _compiled(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"filter: /{text}/ is no pattern: {error}") from None
    if _count(tree, inside=False) > _REPEATS:
        raise UsageError(f"filter: /{text}/ repeats too much: at most {_REPEATS} of * + {{n,}}")
    return text


def _count(tree: object, *, inside: bool) -> int:
    """How many repeats there are. Raises for what can take for ever: a repeat or a choice within a repeat."""
    found = 0
    for op, value in tree:  # type: ignore[attr-defined]
        if op in _OPEN:
            _, most, body = value
            many = most > 1
            if many and inside:
                raise UsageError("filter: a repeat within a repeat can take for ever; write it flat")
            found += (1 if most > 16 else 0) + _count(body, inside=inside or many)
        elif op in (_op.GROUPREF, _op.GROUPREF_EXISTS):
            raise UsageError("filter: a pattern cannot refer back to a group")
        elif op is _op.BRANCH:
            if inside:
                raise UsageError("filter: a choice within a repeat can take for ever; write [ab] in place of (a|b)")
            found += sum(_count(branch, inside=inside) for branch in value[1])
        elif op is _op.SUBPATTERN:
            found += _count(value[-1], inside=inside)
        elif op in (_op.ASSERT, _op.ASSERT_NOT):
            found += _count(value[1], inside=inside)
        elif op is _op.ATOMIC_GROUP:
            found += _count(value, inside=inside)
    return found


@lru_cache(maxsize=32)
def _compiled(text: str) -> re.Pattern[str]:
    with _silence():
        return re.compile(text, re.IGNORECASE)


def _silence() -> warnings.catch_warnings[None]:
    """What `[[a]` may mean in a Python to come is nobody's trouble, and would be written over the screen."""
    return warnings.catch_warnings(action="ignore", category=FutureWarning)


def matches(pattern: str, title: str | None) -> bool:
    """What `title REGEXP pattern` means."""
    return _compiled(pattern).search(title or "", 0, TITLE_LIMIT) is not None


def teach(connection: sqlite3.Connection) -> None:
    """Let a connection understand `REGEXP`."""
    connection.create_function("regexp", 2, matches, deterministic=True)
