"""The filter language: one line that becomes SQL.

`state:failed class:timeout age:>1h project:api !title words` — a space is and, `,` is or, a leading `!` is not; bare
words look in the title, a bare number is a job id. `age`, `priority`, `attempts`, `cost` and `tokens` compare: `>`,
`>=`, `<`, `<=` or equal. Only fixed SQL is put together here: every value is bound.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.clock import now_ms
from engine.errors import UsageError
from engine.model import Failure, State, Target, Triage
from engine.units import milliseconds

_COLUMNS = {
    "state": "state",
    "agent": "agent",
    "model": "model",
    "project": "project",
    "class": "failure",
    "title": "title",
    "id": "id",
    "held": "held_by",
    "account": "account",
    "target": "agent",
    "kind": "kind",
    "route": "route",
    "tag": "tags",
    "key": "unique_key",
    "batch": "batch",
    "triage": "triage",
    "schedule": "schedule",
}

#: What is compared. Age is what a list shows: since a job ended, since it started, or since it was submitted.
_MEASURES = {
    "age": (
        "(? - CASE WHEN state IN ('succeeded', 'failed', 'cancelled') THEN ended_at "
        "WHEN state IN ('running', 'gating') THEN started_at ELSE created_at END)"
    ),
    "priority": "priority",
    "attempts": "attempts",
    "cost": "ifnull(cost_micros, 0)",
    "tokens": "(input_tokens + output_tokens)",
}
_SHORT = {"st": "state", "repo": "project", "failure": "class", "prio": "priority", "p": "priority"}
_LIKE = frozenset({"title", "project", "held", "kind"})
_COMPARISON = re.compile(r"(>=|<=|>|<|=)?(.+)")
_WORDS = {"state": frozenset(State), "class": frozenset((*Failure, *Triage))}

LENGTH_LIMIT = 4_000  #: characters of a filter: SQLite takes a LIKE pattern of 50,000 bytes
VALUE_LIMIT = 400  #: values of a filter: SQLite takes an expression of depth 1,000


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on `jobs` and the values bound in it. `states` are the only states that can match."""

    where: str
    values: tuple[str | int | float, ...]
    states: frozenset[State]


EVERYTHING = Filter("1", (), frozenset(State))


def parse(text: str, now: int | None = None, projects: Mapping[str, str] | None = None) -> Filter:
    """The filter that a line asks for, raising `UsageError` with the nearest valid word where it has none.

    `now`, milliseconds UTC, is what ages are counted to; the clock's time where it is not given.
    `projects`: the directory of each project that has a name.
    """
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
    values: list[str | int | float] = []
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
            example = _example(name)
            raise UsageError(
                f"filter: {key}: needs a value, such as {example if ':' in example else f'{key}:{example}'}"
            )
        found = [_term(name, choice, now_ms() if now is None else now, projects or {}) for choice in choices]
        conditions.append(("NOT " if negated else "") + "(" + " OR ".join(sql for sql, _ in found) + ")")
        for _, bound in found:
            values.extend(bound)
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
    if name not in _COLUMNS and name not in _MEASURES:
        known = [*_COLUMNS, *_MEASURES]
        near = difflib.get_close_matches(word, [*known, *_SHORT], 1, 0.5)
        hint = f"; did you mean {near[0]}:?" if near else f"; there are {', '.join(known)}"
        raise UsageError(f"filter: no key {word!r}{hint}")
    return name


def _term(name: str, choice: str, now: int, projects: Mapping[str, str]) -> tuple[str, Sequence[str | int | float]]:
    """One condition, and the values bound in it."""
    if name == "project" and choice in projects:
        return "project IS ?", [projects[choice]]
    if name in _MEASURES:
        return _comparison(name, choice, now)
    if name == "target":
        return _target(choice)
    value = _value(name, choice)
    # Both are called classes, and no word means both: how a job failed, and what sort of job it is.
    column = "triage" if name == "class" and choice in frozenset(Triage) else _COLUMNS[name]
    if name in _LIKE or name == "tag":
        return f"ifnull({column}, '') LIKE ? ESCAPE '\\'", [value]
    return f"ifnull({column}, '') = ?", [value]


def _comparison(name: str, choice: str, now: int) -> tuple[str, list[str | int | float]]:
    found = _COMPARISON.fullmatch(choice)
    sign, text = (found[1] or "=", found[2]) if found else ("=", choice)
    bound: list[str | int | float] = [now] if name == "age" else []
    return f"{_MEASURES[name]} {sign} ?", [*bound, _measure(name, choice, text)]


def _measure(name: str, choice: str, text: str) -> int | float:
    try:
        if name == "age":
            return milliseconds(text)
        # Within SQLite's integers, which an infinity is not.
        value = max(-1e18, min(float(text.lstrip("$")) * (1_000_000 if name == "cost" else 1), 1e18))
        # A part of a micro-dollar is none; but more than one and a half attempts are two.
        return round(value) if name == "cost" or value.is_integer() or value != value else value
    except ValueError:
        raise UsageError(f"filter: {name}:{choice} is not understood; write {_example(name)}") from None


def _target(choice: str) -> tuple[str, list[str | int]]:
    target = Target.parse(choice)
    conditions, values = ["agent = ?"], list[str | int]([target.agent])
    for column, value in (("model", target.model), ("account", target.account)):
        if value is not None:
            conditions.append(f"{column} IS ?")
            values.append(value)
    return " AND ".join(conditions), values


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
    if name == "batch":
        if not choice.isdecimal() or len(choice) > 18:
            raise UsageError(f"filter: batch:{choice} is not a batch's number; `headway batches` lists them")
        return int(choice)
    escaped = re.sub(r"([\\%_])", r"\\\1", choice)
    if name == "tag":
        return f"% {escaped} %"
    return f"%{escaped}%" if name in _LIKE else choice


_EXAMPLES = {
    "state": "failed", "class": "timeout", "id": "12", "batch": "3", "age": "age:>1h", "cost": "cost:>0.5",
    "priority": "priority:<3", "attempts": "attempts:>1", "tokens": "tokens:>100000",
}  # fmt: skip


def _example(name: str) -> str:
    return _EXAMPLES.get(name, "word")
