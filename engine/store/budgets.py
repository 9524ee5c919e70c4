"""Budgets as the database keeps them: what was spent of each, and what the operator allowed. Operations of the writer.

A budget is charged in the transaction that brings a message into the ledger, so that no message is between the two. It
says which budgets are used up then; whoever runs the attempt ends it at the next pause between its messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine import events as log
from engine.budgets import DAY, JOB, Amount, Standing
from engine.decision import CardKind, Choice
from engine.errors import UsageError
from engine.model import ALL, Grade
from engine.spend import budgets as rules
from engine.spend.budgets import Budget, Budgets, Means, Period, Spent, effective, period, standing, title
from engine.store import cards, kin, spend
from engine.store.cards import Asking, Due
from engine.store.fold import record
from engine.store.ledger import worst_of
from engine.store.rows import AttemptRow, JobRow, lane_of, read_job, read_spec
from engine.store.writer import Transaction

HOLD = "its budget"  #: who holds a job that is parked for its own budget

_ALL_TOKENS = "{0}.input_tokens + {0}.output_tokens + {0}.cache_read_tokens + {0}.cache_write_tokens"
_SUMS = (
    "ifnull(sum({0}.cost_micros), 0), ifnull(sum(" + _ALL_TOKENS + "), 0), "
    "ifnull(sum(iif({0}.cost_micros IS NULL, " + _ALL_TOKENS + ", 0)), 0)"
)
_JOB_USAGE = f"FROM attempts AS a JOIN usage AS u ON u.attempt = a.id WHERE a.job IN {kin.LINE}"
_OF_JOB = f"SELECT {_SUMS.format('u')} {_JOB_USAGE}"
_OF_ATTEMPT = f"SELECT {_SUMS.format('usage')} FROM usage WHERE attempt = ?"
_FIND = "SELECT micros, tokens, unpriced, warned, reached FROM budget_spend WHERE scope = ? AND since = ?"
_PUT = (
    "INSERT INTO budget_spend (scope, since, micros, tokens, unpriced) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET micros = excluded.micros, tokens = excluded.tokens, unpriced = excluded.unpriced"
)
_ADD = (
    "UPDATE budget_spend SET micros = micros + ?, tokens = tokens + ?, unpriced = unpriced + ? "
    "WHERE scope = ? AND since = ?"
)
_ALLOWED = (
    "SELECT sum(micros), sum(tokens), total(micros IS NULL AND tokens IS NULL) FROM allowances "
    "WHERE scope = ? AND since = ?"
)
_LEDGER = (
    "FROM ledger AS l JOIN attempts AS a ON a.id = l.attempt JOIN jobs AS j ON j.id = a.job "
    "WHERE l.at >= ? AND ({within})"
)
_FROM_LEDGER = f"SELECT {_SUMS.format('l')} {_LEDGER}"
_FROM_PRUNED = f"SELECT {_SUMS.format('p')} FROM pruned_usage AS p WHERE p.day >= ? AND {{within}}"
_ANSWERED = (
    f"SELECT choice FROM decisions WHERE job IN {kin.LINE} AND kind = 'budget' AND tool = ?2 ORDER BY id DESC LIMIT 1"
)
_OPEN = "SELECT id, attempt FROM decisions WHERE job = ? AND kind = 'budget' AND tool = ? AND answered_at IS NULL"
_OPEN_OF = "SELECT id FROM decisions WHERE kind = 'budget' AND tool = ? AND answered_at IS NULL ORDER BY id"


@dataclass(frozen=True, slots=True)
class Sums:
    """Micro-dollars, tokens, and tokens without a price."""

    micros: int = 0
    tokens: int = 0
    unpriced: int = 0

    def less(self, other: Sums) -> Sums:
        return Sums(self.micros - other.micros, self.tokens - other.tokens, self.unpriced - other.unpriced)


def of_attempt(tx: Transaction, attempt: int) -> Sums:
    """What the ledger holds of an attempt."""
    return Sums(*tx.connection.execute(_OF_ATTEMPT, (attempt,)).fetchone())


def charge(tx: Transaction, row: JobRow, tried: AttemptRow, before: Sums, means: Means) -> JobRow:
    """Count what an attempt has used since `before` in its budgets, and tell what that means for them.

    One that is new is filled from the ledger, which has it already.
    """
    delta = of_attempt(tx, tried.id).less(before)
    for budget in means.budgets.of_scopes(_scopes(tried, row)):
        now = period(budget.per, tx.now)
        if not _fill(tx, budget, now):
            tx.connection.execute(_ADD, (delta.micros, delta.tokens, delta.unpriced, budget.scope, now.since))
        row = _tell(tx, row, tried, budget, now)
    own = means.own
    if own is not None:
        sums = Sums(*tx.connection.execute(_OF_JOB, (job_of(own.scope),)).fetchone())
        tx.connection.execute(_PUT, (own.scope, 0, sums.micros, sums.tokens, sums.unpriced))
        row = _tell(tx, row, tried, own, Period(0, None))
    return row


def grade(tx: Transaction, budget: Budget) -> Grade:
    """How well the money is known that was spent of a budget in its present period: as its worst part is."""
    kind, _, name = budget.scope.partition(":")
    if kind == JOB and name:
        found = tx.connection.execute(f"SELECT {worst_of('u')}, count(*) {_JOB_USAGE}", (int(name),)).fetchone()
    else:
        within, _, value = _WITHIN.get(kind, ("0", "0", False))
        since = period(budget.per, tx.now).since
        values = (since, name) if value else (since,)
        found = tx.connection.execute(
            f"SELECT {worst_of('l')}, count(*) {_LEDGER.format(within=within)}", values
        ).fetchone()
    return Grade(found[0]) if found[1] else Grade.REPORTED


def prepare(tx: Transaction, all_: Budgets) -> None:
    """Fill budgets that are new from the ledger, once: an engine starts."""
    for budget in all_.shared:
        _fill(tx, budget, period(budget.per, tx.now))


def _fill(tx: Transaction, budget: Budget, now: Period) -> bool:
    """Fill a budget from the ledger, where nothing was counted in its period yet."""
    if tx.connection.execute(_FIND, (budget.scope, now.since)).fetchone() is not None:
        return False
    sums = _from_ledger(tx, budget, now)
    tx.connection.execute(_PUT, (budget.scope, now.since, sums.micros, sums.tokens, sums.unpriced))
    return True


def own_used_up(tx: Transaction, own: Budget | None) -> bool:
    """A job's own budget is."""
    return own is not None and _stands(tx, own) is Standing.USED_UP


def used_up(tx: Transaction, row: JobRow, tried: AttemptRow, means: Means) -> list[str]:
    """The scopes of an attempt in which nothing more may be spent now."""
    own = [means.own] if means.own is not None else []
    found = [*means.budgets.of_scopes(_scopes(tried, row)), *own]
    return [one.scope for one in found if _stands(tx, one) is Standing.USED_UP]


def exhausted(tx: Transaction, all_: Budgets) -> dict[str, tuple[Budget, Spent, int | None]]:
    """The shared budgets that are used up, by scope, and until when."""
    found = {}
    for budget in all_.shared:
        if budget.cap is None:
            continue
        now = period(budget.per, tx.now)
        spent, _, _ = _read(tx, budget, now)
        if standing(budget, spent) is Standing.USED_UP:
            found[budget.scope] = (budget, spent, now.until)
    return found


def own_of(tx: Transaction, row: JobRow, said: str | float | None, all_: Budgets) -> Budget | None:
    """The budget of a job of its own. What agents submit spends of that of the job at the beginning of the line."""
    root = kin.kinship(tx, row.id).root
    if root != row.id and (first := read_job(tx.connection, root)) is not None:
        shared = own_of(tx, first, read_spec(tx.connection, first).budget, all_)
        if shared is not None:
            return shared
    usual = None
    if said is None and all_.job is None and all_.usual and row.kind is not None:
        usual = spend.usual(tx, row.kind)
    median, count = (usual.median, usual.count) if usual is not None else (None, 0)
    return all_.of_job(row.id, said, median, count)


def job_of(scope: str) -> int | None:
    """The job whose own budget a scope is; None for a shared one."""
    kind, _, number = scope.partition(":")
    return int(number) if kind == JOB and number.isascii() and number.isdigit() and len(number) < 19 else None


def let_go(tx: Transaction, scope: str, by: str, besides: int = 0) -> list[tuple[JobRow, JobRow]]:
    """Release the jobs that are parked for a job's budget: each as it was, and as it stands then."""
    root = job_of(scope)
    if root is None:
        return []
    rows = [read_job(tx.connection, job) for job in kin.line(tx, root) if job != besides]
    return [(row, record(tx, row, log.Released(by=by))) for row in rows if row is not None and row.held_by == HOLD]


def status(tx: Transaction, budget: Budget) -> tuple[Spent, Period]:
    """What was spent of a budget in its present period."""
    now = period(budget.per, tx.now)
    return _read(tx, budget, now)[0], now


def allow(tx: Transaction, scope: str, since: int, amount: Amount | None, by: str, card: int | None = None) -> int:
    """Allow so much more in a period, or, without an amount, everything. The number of the allowance."""
    made = tx.connection.execute(
        "INSERT INTO allowances (scope, since, micros, tokens, by, at, card) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (scope, since, amount.micros if amount else None, amount.tokens if amount else None, by, tx.now, card),
    )
    tx.connection.execute("UPDATE budget_spend SET reached = 0 WHERE scope = ? AND since = ?", (scope, since))
    tx.log(log.BudgetAllowed(scope, by, amount))
    return made.lastrowid or 0


def told(tx: Transaction, scope: str, since: int) -> None:
    """That a budget is used up is known already: an open card says so."""
    tx.connection.execute("UPDATE budget_spend SET reached = 1 WHERE scope = ? AND since = ?", (scope, since))


def overspent(tx: Transaction, scope: str, since: int, cap: Amount) -> Amount:
    """How much more than its cap was spent of a budget."""
    found = tx.connection.execute(_FIND, (scope, since)).fetchone() or (0, 0)
    over = max(0, cap.of(found[0], found[1]) - cap.value)
    return Amount(tokens=over) if cap.tokens is not None else Amount(micros=over)


def check(tx: Transaction, scope: str, since: int, cap: Amount, amount: Amount) -> None:
    """Raise `UsageError` for what would allow nothing: of another measure, or less than is overspent already."""
    if (amount.tokens is None) != (cap.tokens is None):
        measure = "tokens, such as 200k tokens" if cap.tokens is not None else "money, such as $2"
        raise UsageError(f"amount: {title(scope)} is in {measure}")
    over = overspent(tx, scope, since, cap)
    if amount.value <= over.value:
        raise UsageError(f"amount: {title(scope)} is overspent by {over} already; {amount} would allow nothing")


def take_back(tx: Transaction, number: int, by: str) -> str:
    """Take an allowance back. What was spent of it stays spent."""
    found = tx.connection.execute("SELECT scope, micros, tokens FROM allowances WHERE id = ?", (number,)).fetchone()
    if found is None:
        return "what was allowed has been taken back already"
    tx.connection.execute("DELETE FROM allowances WHERE id = ?", (number,))
    scope, micros, tokens = found
    amount = None if micros is None and tokens is None else Amount(micros, tokens)
    tx.log(log.BudgetAllowed(scope, by, amount, back=True))
    return f"{title(scope)} has no more than before; what was spent meanwhile stays spent"


def stopped(tx: Transaction, job: int) -> bool:
    """The operator chose to leave it at the job's own budget."""
    root = kin.kinship(tx, job).root
    found = tx.connection.execute(_ANSWERED, (root, f"{JOB}:{root}")).fetchone()
    return found is not None and found[0] == Choice.STOP


def open_card(tx: Transaction, scope: str) -> int | None:
    """The card that asks what follows now that a budget is used up."""
    found = tx.connection.execute(_OPEN_OF, (scope,)).fetchone()
    return int(found[0]) if found else None


def close_own(tx: Transaction, row: JobRow) -> JobRow:
    """A job has ended: nobody has to say any more what follows from its own budget, unless others spend of it."""
    root = kin.kinship(tx, row.id).root
    if kin.goes_on(tx, root, besides=row.id):
        return row
    for card, attempt in tx.connection.execute(_OPEN, (row.id, f"{JOB}:{root}")).fetchall():
        row = cards.close(tx, row, attempt, card, cards.Closing(Choice.WITHDRAWN, "headway"))
        cards.sent(tx, card)
    return row


def forget(tx: Transaction, jobs: Sequence[int]) -> None:
    """Jobs are removed, and their own budgets with them."""
    scopes = [(f"{JOB}:{job}",) for job in jobs]
    tx.connection.executemany("DELETE FROM budget_spend WHERE scope = ?", scopes)
    tx.connection.executemany("DELETE FROM allowances WHERE scope = ?", scopes)


def _scopes(tried: AttemptRow, row: JobRow) -> tuple[str, ...]:
    lane = lane_of(row)
    if (lane.agent, lane.model, lane.account) != (tried.agent, tried.model, tried.account):
        lane = type(lane)(tried.agent, tried.model, tried.account, lane.project, lane.tags, lane.kind, lane.priority)
    return rules.scopes_of(lane.scopes, row.kind, row.route)


def _stands(tx: Transaction, budget: Budget) -> Standing:
    return standing(budget, _read(tx, budget, period(budget.per, tx.now))[0])


def _read(tx: Transaction, budget: Budget, now: Period) -> tuple[Spent, bool, bool]:
    """What was spent of a budget, and whether that was told: as a warning, and as its end."""
    found = tx.connection.execute(_FIND, (budget.scope, now.since)).fetchone()
    if found is None:
        sums = _from_ledger(tx, budget, now)
        found = (sums.micros, sums.tokens, sums.unpriced, 0, 0)
    micros, tokens, unpriced, warned, reached = found
    more, many, uncapped = tx.connection.execute(_ALLOWED, (budget.scope, now.since)).fetchone()
    allowed = Amount(more, many) if more is not None or many is not None else None
    return Spent(micros, tokens, unpriced, allowed, bool(uncapped)), bool(warned), bool(reached)


def _tell(tx: Transaction, row: JobRow, tried: AttemptRow, budget: Budget, now: Period) -> JobRow:
    """Say once that a budget begins to be short, and once that it is used up: with a card."""
    spent, warned, reached = _read(tx, budget, now)
    stands = standing(budget, spent)
    own = budget.scope.startswith(f"{JOB}:")
    cap = effective(budget, spent)
    if stands in (Standing.WARNED, Standing.USED_UP) and not warned and budget.warn is not None:
        body = log.BudgetWarned(budget.scope, _measure(budget.warn, spent), budget.warn, cap)
        row = _log(tx, row, tried, body, own=own)
        tx.connection.execute(
            "UPDATE budget_spend SET warned = 1 WHERE scope = ? AND since = ?", (budget.scope, now.since)
        )
    if stands is Standing.USED_UP and not reached and cap is not None:
        card, row = _ask(tx, row, tried, budget, spent, cap, now)
        row = _log(tx, row, tried, log.BudgetReached(budget.scope, _measure(cap, spent), cap, now.until, card), own=own)
        tx.connection.execute(
            "UPDATE budget_spend SET reached = 1 WHERE scope = ? AND since = ?", (budget.scope, now.since)
        )
    return row


def _log(tx: Transaction, row: JobRow, tried: AttemptRow, body: log.AnyBody, *, own: bool) -> JobRow:
    if own:
        return record(tx, row, body, tried.id)
    tx.log(body)
    return row


def _ask(
    tx: Transaction, row: JobRow, tried: AttemptRow, budget: Budget, spent: Spent, cap: Amount, now: Period
) -> tuple[int, JobRow]:
    """A card: what follows now?"""
    own = budget.scope.startswith(f"{JOB}:")
    what = "it is parked" if own else "nothing more of it starts, and what runs is parked"
    asking = Asking(
        request=f"{budget.scope} {now.since} {cap.value}",
        kind=CardKind.BUDGET,
        tool=budget.scope,
        subject="",
        shell=False,
        summary=f"{title(budget.scope)} is used up: {rules.words(budget, spent)}; {what}",
        arguments="{}",
        why=f"its cap is {cap}, by {budget.source}",
        options=(f"more {budget.cap}", "uncapped", "stop"),
        of_job=own,
    )
    card = cards.put_up(tx, row, tried.id, asking, Due(None, Choice.STOP))
    cards.sent(tx, card)
    body = log.Asked(card=card, what=CardKind.BUDGET, tool=asking.tool, summary=asking.summary)
    return card, _log(tx, row, tried, body, own=own)


def _measure(by: Amount, spent: Spent) -> Amount:
    return Amount(tokens=spent.tokens) if by.tokens is not None else Amount(micros=spent.micros)


def _from_ledger(tx: Transaction, budget: Budget, now: Period) -> Sums:
    """What was spent of a budget that is new, as far as the ledger can tell it apart."""
    live, gone, value = _WITHIN.get(budget.scope.partition(":")[0], ("0", "0", False))
    name = budget.scope.partition(":")[2]
    values = (now.since, name) if value else (now.since,)
    there = tx.connection.execute(_FROM_LEDGER.format(within=live), values).fetchone()
    # Of what was pruned only days are known, and neither tags nor routes.
    past = tx.connection.execute(_FROM_PRUNED.format(within=gone), values if gone != "0" else (now.since,)).fetchone()
    return Sums(*(int(one) + int(other) for one, other in zip(there, past, strict=True)))


#: By the kind of a scope: what of the ledger is in it, what of the pruned sums, and whether that takes its name.
_WITHIN: dict[str, tuple[str, str, bool]] = {
    ALL: ("1", "1", False),
    DAY: ("1", "1", False),
    "agent": ("a.agent = ?", "p.agent = ?", True),
    "account": (
        "iif(a.account IS NULL, a.agent, a.agent || '@' || a.account) = ?",
        "iif(p.account = '', p.agent, p.agent || '@' || p.account) = ?",
        True,
    ),
    "target": (
        "a.agent || iif(a.model IS NULL, '', ':' || a.model) || iif(a.account IS NULL, '', '@' || a.account) = ?",
        "0",
        True,
    ),
    "project": ("ifnull(j.project, '') = ?", "p.project = ?", True),
    "tag": ("instr(j.tags, ' ' || ? || ' ') > 0", "0", True),
    "kind": ("j.kind = ?", "p.kind = ?", True),
    "route": ("j.route = ?", "0", True),
}
