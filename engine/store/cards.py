"""The cards as the database keeps them: put up, closed, read. Operations of the one writer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from engine import events as log
from engine.decision import PATTERN_LIMIT, Asker, Card, CardKind, Choice
from engine.store.fold import record
from engine.store.rows import JobRow, read_job
from engine.store.writer import Transaction

_COLUMNS = (
    "id", "kind", "job", "attempt", "agent", "tool", "summary", "arguments", "at", "diff", "why", "options", "file",
    "due", "answered_at", "choice", "reason", "by", "rule", "sent_at", "asker", "of_job",
    "snoozed_until", "escalated",
)  # fmt: skip
SHORTEST_AGAIN = 60_000  #: milliseconds that a card which comes back waits at least

SELECT_CARD = (
    f"SELECT {', '.join(f'd.{name}' for name in _COLUMNS)}, d.fallback, jobs.title, jobs.project, "
    f"iif(length(d.subject) <= {PATTERN_LIMIT}, d.subject, '') "
    "FROM decisions AS d JOIN jobs ON jobs.id = d.job"
)
_OPEN = f"{SELECT_CARD.replace('AS d ', 'AS d INDEXED BY decisions_open ')} WHERE d.answered_at IS NULL ORDER BY d.id"
_ANY_OPEN = "SELECT 1 FROM decisions INDEXED BY decisions_open WHERE answered_at IS NULL LIMIT 1"
_BY_RULE = f"{SELECT_CARD} WHERE d.rule = ? AND d.by = ? ORDER BY d.id DESC LIMIT 20"
_NEWEST = f"{SELECT_CARD} ORDER BY d.id DESC LIMIT ?"
_INSERT = (
    "INSERT INTO decisions (kind, job, attempt, request, agent, tool, subject, shell, summary, arguments, diff, why, "
    "options, file, at, due, fallback, asker, of_job) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_PENDING = "SELECT request FROM decisions WHERE attempt = ? AND sent_at IS NULL AND asker = 'agent'"
_WAITS = "SELECT at, answered_at FROM decisions WHERE attempt = ? AND asker <> 'headway' ORDER BY at"
_TELLING = (
    "UPDATE decisions SET telling_at = ? WHERE attempt = ? AND telling_at IS NULL AND sent_at IS NULL "
    "AND answered_at IS NOT NULL AND asker = 'agent'"
)
_PUT_ASIDE = (
    "UPDATE decisions SET snoozed_until = ?, due = ?, warned_at = NULL, "
    "escalated_at = ifnull(?, escalated_at) WHERE id = ?"  # from its return on it is counted how long nobody answers
)
_LEFT = "SELECT min(id) FROM decisions WHERE job = ? AND answered_at IS NULL AND of_job"


@dataclass(frozen=True, slots=True)
class Asking:
    """What an agent asks, as its runner understood it. Texts are bounded already."""

    request: str
    kind: CardKind
    tool: str
    subject: str
    shell: bool
    summary: str
    arguments: str
    diff: str = ""
    why: str = ""
    options: tuple[str, ...] = ()
    file: str = ""
    asker: Asker = Asker.HEADWAY
    of_job: bool = True
    """The job waits for the answer. What it only happened to bring up is no affair of its own: a shared budget."""


@dataclass(frozen=True, slots=True)
class Due:
    """When a card is answered by itself, and how."""

    at: int | None
    default: Choice


@dataclass(frozen=True, slots=True)
class Closing:
    """How a card came to its end."""

    choice: Choice
    by: str
    reason: str | None = None
    rule: int | None = None


def put_up(tx: Transaction, row: JobRow, attempt: int, asking: Asking, due: Due) -> int:
    """A new card; its number. Whoever calls says in the log what becomes of it."""
    made = tx.connection.execute(
        _INSERT,
        (
            asking.kind, row.id, attempt, asking.request, row.agent, asking.tool, asking.subject, asking.shell,
            asking.summary, asking.arguments, asking.diff, asking.why,
            msgspec.json.encode(asking.options).decode(), asking.file, tx.now, due.at, due.default,
            asking.asker, asking.of_job,
        ),
    )  # fmt: skip
    return made.lastrowid or 0


def holder(card: int) -> str:
    """What the hold of a job says that waits for a card."""
    return f"card {card}"


def held_by(row: JobRow) -> int | None:
    """The number of the card by which a job is held."""
    return held_by_words(row.held_by)


def held_by_words(words: str | None) -> int | None:
    """The number of the card that a hold says, as `holder` writes it; None where it says none."""
    word, _, number = (words or "").partition(" ")
    return int(number) if word == "card" and number.isdecimal() else None


def let_go(tx: Transaction, row: JobRow) -> JobRow:
    """End the hold of a card that nobody can answer any more: its job ended meanwhile, and was put back."""
    number = held_by(row)
    card = one(tx, number) if number is not None else None
    if number is None or (card is not None and card.open):
        return row
    return record(tx, row, log.Released(by="headway"))


def holding(tx: Transaction, row: JobRow) -> Card | None:
    """The card by which a job is held; None where none holds it."""
    if row.waiting_on is None or row.held_by != holder(row.waiting_on):
        return None
    return one(tx, row.waiting_on)


def close(tx: Transaction, row: JobRow, attempt: int | None, card: int, closing: Closing) -> JobRow:
    """Write how a card ended, and what the job waits for then."""
    tx.connection.execute(
        "UPDATE decisions SET answered_at = ?, choice = ?, by = ?, reason = ?, rule = ? WHERE id = ?",
        (tx.now, closing.choice, closing.by, closing.reason, closing.rule, card),
    )
    left = tx.connection.execute(_LEFT, (row.id,)).fetchone()[0]
    body = log.Answered(
        card=card, choice=closing.choice, by=closing.by, reason=closing.reason, rule=closing.rule, left=left
    )
    return record(tx, row, body, attempt)


def withdraw(tx: Transaction, row: JobRow, attempt: int, requests: Sequence[str] | None = None) -> JobRow:
    """Close what an attempt asks no more: the named requests, or all of them. Nobody has to be told.

    What Headway itself asks outlives the attempt.
    """
    found = tx.connection.execute(
        "SELECT id, request FROM decisions WHERE attempt = ? AND answered_at IS NULL AND asker <> 'headway' "
        "ORDER BY id",
        (attempt,),
    ).fetchall()
    for card, request in found:
        if requests is None or request in requests:
            row = close(tx, row, attempt, card, Closing(Choice.WITHDRAWN, "headway"))
            sent(tx, card)
    return row


def sent(tx: Transaction, card: int) -> None:
    """The agent was told."""
    tx.connection.execute("UPDATE decisions SET sent_at = ? WHERE id = ? AND sent_at IS NULL", (tx.now, card))


def unsent(tx: Transaction, attempt: int) -> list[tuple[str, Card]]:
    """The answers of which it is not written that the agent was told: its request, and the card."""
    found = tx.connection.execute(
        f"SELECT d.request, {SELECT_CARD.removeprefix('SELECT ')} "
        "WHERE d.attempt = ? AND d.sent_at IS NULL AND d.answered_at IS NOT NULL AND d.asker = 'agent' ORDER BY d.id",
        (attempt,),
    )
    return [(str(request), card_of(values)) for request, *values in found]


def telling(tx: Transaction, attempt: int) -> None:
    """Its agent is about to be told what it has not been: from now on it may have heard it."""
    tx.connection.execute(_TELLING, (tx.now, attempt))


def heard(tx: Transaction, card: Card) -> bool:
    """Whether somebody who waited for the answer may have had it."""
    found = tx.connection.execute("SELECT ifnull(telling_at, sent_at) FROM decisions WHERE id = ?", (card.id,))
    return card.asker is not Asker.HEADWAY and found.fetchone()[0] is not None


def reopen(tx: Transaction, row: JobRow, card: Card, by: str) -> JobRow:
    """Let a card wait again that was answered, for as long as it still had then."""
    due = None
    if card.due is not None and card.answered_at is not None:
        due = tx.now + max(card.due - card.answered_at, SHORTEST_AGAIN)
    tx.connection.execute(
        "UPDATE decisions SET answered_at = NULL, choice = NULL, by = NULL, reason = NULL, rule = NULL, due = ?, "
        "warned_at = NULL "
        "WHERE id = ?",
        (due, card.id),
    )
    left = tx.connection.execute(_LEFT, (row.id,)).fetchone()[0]
    return record(tx, row, log.Reopened(card=card.id, by=by, due=due, left=left), card.attempt or None)


def put_aside(tx: Transaction, card: Card, until: int | None, due: int | None, by: str) -> None:
    """Let a card wait unseen until a time, or, without one, be seen again."""
    tx.connection.execute(_PUT_ASIDE, (until, due, tx.now if until is None else None, card.id))
    say(tx, card, log.CardSnoozed(card.id, by, until, due))


def say(tx: Transaction, card: Card, body: log.AnyBody) -> None:
    """Log what changes nothing of the job that a card is about."""
    tx.log(body, job=card.job if card.of_job else None)


def pending(tx: Transaction, attempt: int) -> set[str]:
    """The requests of an attempt that wait for an answer, or whose answer was not passed on, as far as is written."""
    found = tx.connection.execute(_PENDING, (attempt,))
    return {str(request) for (request,) in found}


def known(tx: Transaction, attempt: int) -> dict[str, int | None]:
    """The requests of an attempt that have a card: when each was answered, or None."""
    found = tx.connection.execute("SELECT request, answered_at FROM decisions WHERE attempt = ?", (attempt,))
    return dict(found.fetchall())


def waits(tx: Transaction, attempt: int) -> list[tuple[int, int | None]]:
    """The times in which an attempt waited for the operator: from, and to where that is over."""
    found = tx.connection.execute(_WAITS, (attempt,))
    return [(int(at), None if end is None else int(end)) for at, end in found]


def next_due(tx: Transaction, attempt: int) -> int | None:
    """When the first open card of an attempt is answered by itself."""
    found = tx.connection.execute(
        "SELECT min(due) FROM decisions WHERE attempt = ? AND answered_at IS NULL AND asker <> 'headway'", (attempt,)
    ).fetchone()[0]
    return None if found is None else int(found)


def one(tx: Transaction, card: int) -> Card | None:
    if card >= 1 << 63:
        return None
    values = tx.connection.execute(f"{SELECT_CARD} WHERE d.id = ?", (card,)).fetchone()
    return card_of(values) if values else None


def opened(tx: Transaction) -> list[Card]:
    """The cards that wait for an answer, the oldest first."""
    return [card_of(values) for values in tx.connection.execute(_OPEN)]


def any_open(tx: Transaction) -> bool:
    """Whether there are any."""
    return tx.connection.execute(_ANY_OPEN).fetchone() is not None


def waiting(tx: Transaction) -> list[Card]:
    """Those of them that the operator has not put aside."""
    return [card for card in opened(tx) if card.snoozed_until is None]


def newest(tx: Transaction, limit: int) -> list[Card]:
    """The newest cards, answered ones included."""
    return [card_of(values) for values in tx.connection.execute(_NEWEST, (limit,))]


def decided_by(tx: Transaction, rule: int) -> list[Card]:
    """The newest cards that a rule has answered."""
    return [card_of(values) for values in tx.connection.execute(_BY_RULE, (rule, f"rule {rule}"))]


def card_of(values: Sequence[Any]) -> Card:
    """A row as selected by `SELECT_CARD`."""
    *own, fallback, title, project, subject = values
    fields = dict(zip(_COLUMNS, own, strict=True))
    return Card(
        **{
            **fields,
            "kind": CardKind(fields["kind"]),
            "options": tuple(msgspec.json.decode(fields["options"], type=list[str])),
            "choice": Choice(fields["choice"]) if fields["choice"] else None,
            "default": Choice(fallback),
            "asker": Asker(fields["asker"]),
            "of_job": bool(fields["of_job"]),
            "title": title,
            "project": project,
            "subject": subject,
        }
    )


def job_of(tx: Transaction, card: Card) -> JobRow:
    """The job that a card is about."""
    row = read_job(tx.connection, card.job)
    assert row is not None, "a job is never removed before its cards"
    return row
