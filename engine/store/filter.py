"""The filter language: one line that becomes SQL.

`state:failed class:timeout age>1h project:api !title words` — a space is and, `,` is or, a leading `!` is not, before
a word or before a value (`model:!opus`); bare words look in the title, `/so/` is a regular expression on it, a bare
number is a job id. `age`, `priority`, `attempts`, `cost` and `tokens` compare: `>`, `>=`, `<`, `<=` or equal, with or
without a colon before it. Only fixed SQL is put together here: every value is bound.
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
from engine.model.listing import FILTER_SHORT
from engine.store.pattern import checked
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
    "worker": "(ifnull(worker || ' ', '') || agent || ifnull(':' || model, '') || ifnull('@' || account, ''))",
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
_LIKE = frozenset({"title", "project", "held", "kind", "worker"})
_COMPARISON = re.compile(r"(>=|<=|>|<|=)?(.+)")
#: `cost>1`: a word is only taken for one where it begins with the name of a measure.
_BARE = re.compile(rf"({'|'.join([*_MEASURES, 'prio', 'p'])})((?:>=|<=|>|<|=).+)")
#: `/a pattern, with its spaces/`, as a word of its own.
_PATTERN = re.compile(r"(?:^|(?<=\s))(!?)/((?:[^/\\]|\\.)+)/(?=\s|$)")
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
    terms, patterns = _words_of(text)
    conditions: list[str] = []
    values: list[str | int | float] = []
    states = frozenset(State)
    moment = now_ms() if now is None else now
    for term in terms:
        try:
            one = _condition(term, moment, projects or {})
        except UsageError as error:
            if len(terms) + len(patterns) == 1:
                raise
            raise UsageError(f"filter: in {term!r}: {error.message.removeprefix('filter: ')}") from None
        conditions.append(one.where)
        values.extend(one.values)
        states &= one.states
    # They come last: what an index or a number can tell is told first.
    conditions += ["NOT (title REGEXP ?)" if sign else "(title REGEXP ?)" for sign, _ in patterns]
    values += [pattern for _, pattern in patterns]
    if len(values) > VALUE_LIMIT:
        raise UsageError(f"filter: more than {VALUE_LIMIT} values")
    if not conditions:
        return EVERYTHING
    return Filter(" AND ".join(conditions), tuple(values), states)


def _words_of(text: str) -> tuple[list[str], list[tuple[str, str]]]:
    """The words of a filter, and its patterns, each with its `!`."""
    try:
        text.encode()
        patterns = [(found[1], checked(found[2])) for found in _PATTERN.finditer(text)]
        return shlex.split(_PATTERN.sub(" ", text)), patterns
    except UnicodeEncodeError:
        raise UsageError("filter: it is not valid UTF-8") from None
    except ValueError:
        raise UsageError(f"filter: a quote is not closed in {text!r}") from None


def _condition(term: str, now: int, projects: Mapping[str, str]) -> Filter:
    """What one word asks for."""
    negated = term.startswith("!")
    term = term[1:] if negated else term
    key, rest = _parted(term)
    name = _key(key)
    choices = [choice for choice in rest.split(",") if choice]
    # A title may begin with a mark; what is named may not, so there the mark is a not.
    barred = [choice[1:] for choice in choices if choice.startswith("!") and len(choice) > 1 and name != "title"]
    wanted = [choice for choice in choices if not choice.startswith("!") or name == "title"]
    if not barred and not wanted:
        example = _example(name)
        raise UsageError(f"filter: {key}: needs a value, such as {example if ':' in example else f'{key}:{example}'}")
    found = [_term(name, choice, now, projects) for choice in (*wanted, *barred)]
    parts = [sql for sql, _ in found]
    each = ["(" + " OR ".join(parts[: len(wanted)]) + ")"] if wanted else []
    each += [f"NOT ({sql})" for sql in parts[len(wanted) :]]
    where = ("NOT " if negated else "") + ("(" + " AND ".join(each) + ")" if len(each) > 1 or barred else each[0])
    states = frozenset(State)
    if name == "state":
        states = frozenset(map(State, wanted)) if wanted else states
        states -= frozenset(map(State, barred))
        states = frozenset(State) - states if negated else states
    return Filter(where, tuple(value for _, bound in found for value in bound), states)


def _parted(term: str) -> tuple[str, str]:
    """The name and the value of a word; of a bare one, what it means."""
    if (bare := _BARE.fullmatch(term)) is not None:
        return bare[1], bare[2]
    key, colon, rest = term.partition(":")
    if colon:
        return key, rest
    return ("id", term) if re.fullmatch(r"[Jj]?\d+", term) else ("title", term)


def _key(word: str) -> str:
    name = FILTER_SHORT.get(word, word)
    if name not in _COLUMNS and name not in _MEASURES:
        known = [*_COLUMNS, *_MEASURES]
        near = difflib.get_close_matches(word, [*known, *FILTER_SHORT], 1, 0.5)
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
        raise UsageError(f"filter: {choice!r} is no {name}; write {_example(name)}") from None


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
