"""Rules that like answers suggest: found, asked about, decided. Operations of the one writer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from engine import events as log
from engine.decision import Card, CardKind, Choice, Effect, Past, Proposal, ProposalState, Rule
from engine.permission import Use
from engine.policy import Seen, all_suggested, covers, past, suggested
from engine.store import answering, cards, rules
from engine.store.cards import Asking, Due
from engine.store.rows import read_job
from engine.store.writer import Transaction

TOOL_LIMIT = 500  #: answered cards of a tool that are looked at, the newest
LOOK = 20_000  #: of so many cards of any
DAYS = 90  #: and answered within so many days
_DAY_MS = 86_400_000

#: Who answers cards without being a person.
_ENGINE = re.compile(r"rule \d+|headway|headway\.yaml|time-out")

_NEW = f"d.id > (SELECT ifnull(max(id), 0) FROM decisions) - {LOOK}"
_HISTORY = (
    "SELECT d.id, d.kind, d.tool, d.subject, d.shell, d.choice, d.reason, d.by, d.job, jobs.project, jobs.kind "
    "FROM decisions AS d JOIN jobs ON jobs.id = d.job "
    f"WHERE {_NEW} AND d.kind = ? AND d.tool = ? AND jobs.project IS ? AND d.answered_at > ? "
    f"ORDER BY d.id DESC LIMIT {TOOL_LIMIT}"
)
_ALL = (
    "SELECT d.id, d.kind, d.tool, d.subject, d.shell, d.choice, d.reason, d.by, d.job, jobs.project, jobs.kind "
    "FROM decisions AS d JOIN jobs ON jobs.id = d.job "
    f"WHERE {_NEW} AND d.kind = ? AND d.answered_at > ? ORDER BY d.id DESC"
)
_GROUPS = (
    "SELECT d.kind, d.tool, jobs.project, max(d.id) FROM decisions AS d JOIN jobs ON jobs.id = d.job "
    f"WHERE {_NEW} AND d.answered_at > ? AND jobs.project IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 4"
)
_COLUMNS = "id, rule, past, at, state, card, kept"
_BY_PRINT = f"SELECT {_COLUMNS} FROM proposals WHERE print = ?"
_BY_ID = f"SELECT {_COLUMNS} FROM proposals WHERE id = ?"
_OPEN = (
    f"SELECT {', '.join(f'p.{name}' for name in _COLUMNS.split(', '))} FROM proposals AS p "
    "JOIN decisions AS d ON d.id = p.card WHERE p.state = 'open' AND d.answered_at IS NULL ORDER BY p.id"
)


@dataclass(frozen=True, slots=True)
class Habit:
    """When answers are a habit, and for how long a rule that comes of one holds (milliseconds; 0 is for ever)."""

    least: int = 0
    holds: int = 0


def consider(tx: Transaction, card: int, habit: Habit) -> Proposal | None:
    """Propose a rule where the answer to a card was one of several alike. What was dismissed is not proposed again."""
    found = cards.one(tx, card)
    if not habit.least or found is None or found.choice is None:
        return None
    seen = history(tx, found.kind, found.tool, found.project)
    about = next((one for one in seen if one.card == card), None)
    rule = suggested(seen, habit.least, about) if about is not None and about.person else None
    return _propose(tx, rule, seen, habit, again=False) if rule is not None else None


def consider_all(tx: Transaction, habit: Habit, *, again: bool) -> list[Proposal]:
    """Look at all that was answered. `again`: propose what was dismissed as well."""
    groups = tx.connection.execute(_GROUPS, (tx.now - DAYS * _DAY_MS,)).fetchall()
    found = []
    for kind, tool, project, _ in groups:
        seen = history(tx, CardKind(kind), tool, project)
        rules_ = all_suggested(seen, habit.least)
        found += [_propose(tx, rule, seen, habit, again=again) for rule in rules_]
    return [one for one in found if one is not None]


def opened(tx: Transaction) -> list[Proposal]:
    """Those that wait for a word."""
    return [_proposal(values) for values in tx.connection.execute(_OPEN)]


def one(tx: Transaction, number: int) -> Proposal | None:
    found = tx.connection.execute(_BY_ID, (number,)).fetchone()
    return _proposal(found) if found else None


def asked_by(card: Card) -> int:
    """The number of the proposal that a card asks about."""
    return msgspec.json.decode(card.arguments, type=Asked).proposal


def decide(tx: Transaction, number: int, state: ProposalState, by: str | None, kept: int | None = None) -> None:
    """Write what became of a proposal; or that it is open again."""
    tx.connection.execute(
        "UPDATE proposals SET state = ?, decided_at = ?, by = ?, kept = ? WHERE id = ?",
        (state, None if state is ProposalState.OPEN else tx.now, by, kept, number),
    )


def history(tx: Transaction, kind: CardKind, tool: str, project: str | None) -> list[Seen]:
    """The answered cards of a kind and a tool in a project, the newest first."""
    since = tx.now - DAYS * _DAY_MS
    return [_seen(values) for values in tx.connection.execute(_HISTORY, (kind, tool, project, since))]


def past_of(tx: Transaction, rule: Rule) -> Past:
    """What a rule would have decided of what was asked in the last months."""
    since = tx.now - DAYS * _DAY_MS
    return past(rule, (_seen(values) for values in tx.connection.execute(_ALL, (rule.kind, since))))


class Asked(msgspec.Struct, frozen=True):
    """What the card of a proposal holds, for whoever shows it."""

    proposal: int
    rule: Rule
    past: Past


def _propose(tx: Transaction, rule: Rule, seen: Sequence[Seen], habit: Habit, *, again: bool) -> Proposal | None:
    if _decided(tx, rule, seen):
        return None
    print_ = msgspec.json.encode(rule).decode()
    there = tx.connection.execute(_BY_PRINT, (print_,)).fetchone()
    if there is not None:
        known = _proposal(there)
        waits = known.state is ProposalState.OPEN and _is_open(tx, known.card)
        if waits or (known.state is ProposalState.DISMISSED and not again):
            return None
        tx.connection.execute("DELETE FROM proposals WHERE id = ?", (known.id,))
    return _ask(tx, replace(rule, expires_at=tx.now + habit.holds if habit.holds else None), print_, seen)


def _ask(tx: Transaction, rule: Rule, print_: str, seen: Sequence[Seen]) -> Proposal:
    """Keep a proposal, and put up its card: with the job of the newest answer, which does not wait for it."""
    about = past(rule, seen)
    made = tx.connection.execute(
        "INSERT INTO proposals (print, rule, past, at, state) VALUES (?, ?, ?, ?, 'open')",
        (print_, msgspec.json.encode(rule).decode(), msgspec.json.encode(about).decode(), tx.now),
    )
    number = made.lastrowid or 0
    row = read_job(tx.connection, next(one.use.job for one in seen if covers(rule, one)))
    assert row is not None, "its card was selected together with it"
    asking = Asking(
        request=f"policy {number}",
        kind=CardKind.POLICY,
        tool=rule.tool,
        subject=rule.pattern,
        shell=False,
        summary=f"let a rule say {_says(rule)} to {_what(rule)}? You have, {about.agreed} times",
        arguments=msgspec.json.encode(Asked(number, rule, about)).decode(),
        why=f"of {about.matched} that it would have decided you answered {about.agreed} so, {about.against} otherwise, "
        f"and {about.other} nobody: {', '.join(f'card {card}' for card in about.cards)}",
        of_job=False,
    )
    card = answering.raise_card(tx, row, 0, asking, Due(None, Choice.DISMISS), holds=False).card
    tx.connection.execute("UPDATE proposals SET card = ? WHERE id = ?", (card, number))
    tx.log(log.RuleProposed(proposal=number, card=card, rule=rule, past=about))
    return Proposal(id=number, rule=rule, past=about, at=tx.now, card=card)


def _decided(tx: Transaction, rule: Rule, seen: Sequence[Seen]) -> bool:
    """Whether a rule that stands says it already. One that denies what this would allow stands before it as well."""
    standing = [one for one in rules.rules(tx) if one.job is None and (one.expires_at or tx.now + 1) > tx.now]
    newest = next(one for one in seen if covers(rule, one))
    if any(covers(one, newest) and (one.pattern == rule.pattern or "*" in one.pattern) for one in standing):
        return True
    refuses = [one for one in standing if one.effect is Effect.DENY]
    covered = [one for one in seen if covers(rule, one)]
    return rule.effect is Effect.ALLOW and any(covers(one, other) for one in refuses for other in covered)


def _says(rule: Rule) -> str:
    if rule.kind is CardKind.PERMISSION:
        return rule.effect
    return f"{rule.choice} {rule.words}" if rule.words else str(rule.choice)


def _what(rule: Rule) -> str:
    return rule.tool if rule.pattern == "*" else f"{rule.tool} `{rule.pattern}`"


def _is_open(tx: Transaction, number: int | None) -> bool:
    card = cards.one(tx, number) if number is not None else None
    return card is not None and card.open


def _seen(values: Sequence[Any]) -> Seen:
    card, kind, tool, subject, shell, choice, words, by, job, project, job_kind = values
    use = Use(tool, subject, job, project, shell=bool(shell), job_kind=job_kind)
    person = choice != Choice.WITHDRAWN and _ENGINE.fullmatch(by or "") is None
    return Seen(card, CardKind(kind), use, Choice(choice), words, person)


def _proposal(values: Sequence[Any]) -> Proposal:
    number, rule, about, at, state, card, kept = values
    return Proposal(
        id=number,
        rule=msgspec.json.decode(rule, type=Rule),
        past=msgspec.json.decode(about, type=Past),
        at=at,
        state=ProposalState(state),
        card=card,
        kept=kept,
    )
