"""The filter language: one line that becomes SQL.

`state:failed agent:claude,codex project:api !title words` — a space is and, `,` is or, a leading `!` is not; bare
words look in the title, a bare number is a job id. Only fixed SQL is put together here: every value is bound.
"""

from __future__ import annotations

import difflib
import re
import shlex
from dataclasses import dataclass

from engine.errors import UsageError
from engine.model import Failure, State

_COLUMNS = {
    "state": "state",
    "agent": "agent",
    "model": "model",
    "project": "project",
    "class": "failure",
    "title": "title",
    "id": "id",
    "held": "held_by",
}
_SHORT = {"st": "state", "repo": "project", "failure": "class"}
_WORDS = {"state": frozenset(State), "class": frozenset(Failure)}

LENGTH_LIMIT = 4_000  #: characters of a filter: SQLite takes a LIKE pattern of 50,000 bytes
VALUE_LIMIT = 400  #: values of a filter: SQLite takes an expression of depth 1,000


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on `jobs` and the values bound in it. `states` are the only states that can match."""

    where: str
    values: tuple[str | int, ...]
    states: frozenset[State]


EVERYTHING = Filter("1", (), frozenset(State))


def parse(text: str) -> Filter:
    """The filter that a line asks for, raising `UsageError` with the nearest valid word where it has none."""
    if len(text) > LENGTH_LIMIT:
        raise UsageError(f"filter: longer than {LENGTH_LIMIT:,} characters")
    try:
        text.encode()
        terms = shlex.split(text)
    except UnicodeEncodeError:
        raise UsageError("filter: it is not valid UTF-8") from None
    except ValueError:
        raise UsageError(f"filter: a quote is not closed in {text!r}") from None
    conditions: list[str] = []
    values: list[str | int] = []
    states = frozenset(State)
    for term in terms:
        negated = term.startswith("!")
        term = term[1:] if negated else term
        key, colon, rest = term.partition(":")
        if not colon:
            key, rest = ("id", term) if re.fullmatch(r"[Jj]?\d+", term) else ("title", term)
        name = _key(key)
        choices = [choice for choice in rest.split(",") if choice]
        if not choices:
            raise UsageError(f"filter: {key}: needs a value, such as {key}:{_example(name)}")
        conditions.append(("NOT " if negated else "") + "(" + " OR ".join(_condition(name) for _ in choices) + ")")
        values.extend(_value(name, choice) for choice in choices)
        if name == "state":
            named = frozenset(State(choice) for choice in choices)
            states &= frozenset(State) - named if negated else named
    if len(values) > VALUE_LIMIT:
        raise UsageError(f"filter: more than {VALUE_LIMIT} values")
    if not conditions:
        return EVERYTHING
    return Filter(" AND ".join(conditions), tuple(values), states)


def _key(word: str) -> str:
    name = _SHORT.get(word, word)
    if name not in _COLUMNS:
        near = difflib.get_close_matches(word, [*_COLUMNS, *_SHORT], 1, 0.5)
        hint = f"; did you mean {near[0]}:?" if near else f"; there are {', '.join(_COLUMNS)}"
        raise UsageError(f"filter: no key {word!r}{hint}")
    return name


def _condition(name: str) -> str:
    column = _COLUMNS[name]
    if name in ("title", "project", "held"):
        return f"ifnull({column}, '') LIKE ? ESCAPE '\\'"
    return f"ifnull({column}, '') = ?"


def _value(name: str, choice: str) -> str | int:
    if name == "id":
        number = choice.lstrip("Jj")
        if not number.isdecimal() or len(number) > 18:
            raise UsageError(f"filter: id:{choice} is not a job id")
        return int(number)
    words = _WORDS.get(name)
    if words is not None and choice not in words:
        near = difflib.get_close_matches(choice, sorted(words), 1, 0.5)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(words))}"
        raise UsageError(f"filter: no {name} {choice!r}{hint}")
    if name in ("title", "project", "held"):
        escaped = re.sub(r"([\\%_])", r"\\\1", choice)
        return f"%{escaped}%"
    return choice


def _example(name: str) -> str:
    return {"state": "failed", "class": "timeout", "id": "12"}.get(name, "word")
