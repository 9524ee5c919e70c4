"""What headway.yaml says of budgets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from engine.budgets import DAY, JOB, Amount, Per
from engine.documents import Complaint, nearest
from engine.model import ALL, SCOPES

if TYPE_CHECKING:
    from engine.config.settings import Settings

KINDS = (*SCOPES, "kind", "route")  #: what stands before the colon of a scope that a budget is put on


class BudgetSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much may be spent in a scope: `job`, `day`, `all`, `project:api`, `account:claude@work`, `kind:review`."""

    warn: str | float | None = None
    """From here on it is told: `$2`, `2.50`, `200k tokens`."""
    cap: str | float | None = None
    """Here it ends: nothing more starts, what runs is parked, and the operator is asked."""
    per: Per | None = None
    """When it begins anew. Unset: each day for `day`, else never."""


def complaints(settings: Settings) -> Iterator[Complaint]:
    """What is wrong with the budgets."""
    for scope, budget in settings.budgets.items():
        keys = ("budgets", scope)
        kind, colon, name = scope.partition(":")
        if scope not in (ALL, DAY, JOB) and not (kind in KINDS and colon and name):
            known = [ALL, DAY, JOB, *(f"{one}:NAME" for one in KINDS)]
            yield keys, f"there is no scope {scope!r}; {nearest(scope, known)}"
        if kind == "project" and name and not name.startswith("/") and name not in settings.projects:
            hint = nearest(name, settings.projects) if settings.projects else "give its directory"
            yield keys, f"there is no project {name!r}; {hint}"
        if kind == "route" and name and name not in settings.routes:
            hint = nearest(name, settings.routes) if settings.routes else "routes: names none"
            yield keys, f"there is no route {name!r}; {hint}"
        if scope == JOB and budget.per is not None:
            yield (*keys, "per"), "a job has one budget, from its beginning to its end"
        if scope == DAY and budget.per not in (None, Per.DAY):
            yield (*keys, "per"), f"it is by the day; write {ALL}: {{per: {budget.per}}}"
        yield from _amounts(keys, budget)


def _amounts(keys: tuple[str, ...], budget: BudgetSettings) -> Iterator[Complaint]:
    found: dict[str, Amount] = {}
    for name in ("warn", "cap"):
        value = getattr(budget, name)
        if value is None:
            continue
        try:
            found[name] = Amount.parse(value)
        except ValueError as error:
            yield (*keys, name), str(error)
    if budget.warn is None and budget.cap is None:
        yield keys, "say warn, cap or both"
    if len(found) == 2:
        warn, cap = found["warn"], found["cap"]
        if (warn.tokens is None) != (cap.tokens is None):
            yield (*keys, "warn"), "warn and cap are both money, or both tokens"
        elif warn.value > cap.value:
            yield (*keys, "warn"), f"it warns at {warn}, past the cap of {cap}"
