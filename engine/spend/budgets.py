"""What budgets there are, which of them an attempt spends of, and how they stand. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.budgets import DAY, JOB, Amount, Per, Standing
from engine.config import BudgetSettings, Settings
from engine.model import ALL


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may be spent in a scope."""

    scope: str
    warn: Amount | None = None
    cap: Amount | None = None
    per: Per = Per.EVER
    source: str = "headway.yaml"


@dataclass(frozen=True, slots=True)
class Period:
    """From when to when a budget counts. `until` is None for one that never begins anew."""

    since: int
    until: int | None


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent of a budget in its period, and what the operator has allowed beyond it."""

    micros: int = 0
    tokens: int = 0
    unpriced: int = 0
    """Tokens among them that have no known price."""
    allowed: Amount | None = None
    uncapped: bool = False


@dataclass(frozen=True, slots=True)
class Budgets:
    """Everything that headway.yaml says of them."""

    shared: tuple[Budget, ...] = ()
    """Those of scopes that many jobs spend of."""
    job: Budget | None = None
    """That of every job which names none."""
    usual: float = 3.0
    """The cap of a job that has none, as so many times the median of its kind; 0 is without."""
    usual_from: int = 10
    """Not before so many jobs of the kind have succeeded."""

    @classmethod
    def of(cls, settings: Settings) -> Budgets:
        own = settings.budgets
        shared = tuple(
            _budget(_scope(scope, settings), one, Per.DAY if scope == DAY else Per.EVER)
            for scope, one in own.items()
            if scope != JOB
        )
        job = _budget(JOB, own[JOB], Per.EVER) if JOB in own else None
        return cls(shared, job, settings.spend.usual, settings.spend.usual_from)

    def of_scopes(self, scopes: Iterable[str]) -> list[Budget]:
        """Those that something in these scopes spends of."""
        within = {*scopes, DAY}
        return [one for one in self.shared if one.scope in within]

    def of_job(self, job: int, said: str | float | None, median: int | None, count: int) -> Budget | None:
        """A job's own: what it says, else what headway.yaml says of all, else what jobs of its kind usually cost.

        `median`: micro-dollars of `count` jobs of its kind.
        """
        scope = f"{JOB}:{job}"
        if said is not None:
            return Budget(scope, cap=Amount.parse(said), source="the job")
        if self.job is not None:
            return Budget(scope, self.job.warn, self.job.cap)
        if median and self.usual and count >= self.usual_from:
            cap = Amount(micros=round(median * self.usual))
            return Budget(scope, cap=cap, source=f"{self.usual:g} x the median of {count} jobs of its kind")
        return None


@dataclass(frozen=True, slots=True)
class Means:
    """What one attempt may spend of: the shared budgets, and its job's own."""

    budgets: Budgets = Budgets()
    own: Budget | None = None

    @property
    def bounded(self) -> bool:
        """There is any."""
        return self.own is not None or bool(self.budgets.shared)


def _budget(scope: str, one: BudgetSettings, per: Per) -> Budget:
    warn = None if one.warn is None else Amount.parse(one.warn)
    cap = None if one.cap is None else Amount.parse(one.cap)
    return Budget(scope, warn, cap, one.per or per)


def _scope(text: str, settings: Settings) -> str:
    """A scope as attempts are counted in it: names of the settings stand for what they name."""
    kind, _, name = text.partition(":")
    if kind == "project" and name in settings.projects:
        return f"project:{settings.projects[name].directory}"
    if kind == "account" and name in settings.accounts:
        return f"account:{settings.accounts[name].agent}@{name}"
    return text


def period(per: Per, now: int) -> Period:
    """The period that a time lies in. Days, weeks (from Monday) and months are those of this machine's zone."""
    if per is Per.EVER:
        return Period(0, None)
    day = datetime.fromtimestamp(now / 1000).replace(hour=0, minute=0, second=0, microsecond=0)
    if per is Per.DAY:
        return Period(_ms(day), _ms(day + timedelta(days=1)))
    if per is Per.WEEK:
        monday = day - timedelta(days=day.weekday())
        return Period(_ms(monday), _ms(monday + timedelta(days=7)))
    first = day.replace(day=1)
    return Period(_ms(first), _ms((first + timedelta(days=32)).replace(day=1)))


def _ms(day: datetime) -> int:
    return int(day.timestamp() * 1000)


def standing(budget: Budget, spent: Spent) -> Standing:
    """How a budget stands. A cap that is just reached is used up: the next message would be past it."""
    cap = effective(budget, spent)
    if spent.uncapped:
        return Standing.UNCAPPED
    if cap is not None and cap.of(spent.micros, spent.tokens) >= cap.value:
        return Standing.USED_UP
    warn = budget.warn
    if warn is not None and warn.of(spent.micros, spent.tokens) >= warn.value:
        return Standing.WARNED
    return Standing.OPEN


def effective(budget: Budget, spent: Spent) -> Amount | None:
    """The cap with what was allowed beyond it."""
    return None if budget.cap is None else budget.cap.plus(spent.allowed)


def scopes_of(scopes: Sequence[str], kind: str | None, route: str | None = None) -> tuple[str, ...]:
    """Where an attempt counts for budgets: in the scopes of its lane, in its kind and in its route."""
    named = [f"{what}:{name}" for what, name in (("kind", kind), ("route", route)) if name is not None]
    return (*scopes, *named)


def words(budget: Budget, spent: Spent) -> str:
    """`$2.10 of $2.00 are spent`: of what is left of it, in the measure of its cap."""
    cap = effective(budget, spent) or budget.warn or Amount(micros=0)
    used = Amount(tokens=spent.tokens) if cap.tokens is not None else Amount(micros=spent.micros)
    return f"{used} of {cap} are spent"


def title(scope: str) -> str:
    """A budget as a person calls it."""
    kind, _, name = scope.partition(":")
    if scope == ALL:
        return "the budget of everything"
    if scope == DAY:
        return "the budget of the day"
    return f"the budget of J{name}" if kind == JOB else f"the budget of {scope}"
