"""The work of a day, drawn: which job comes when, for which account, and how long it takes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.simulation.scenario import HOURS, Accounts, Scenario

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Errand:
    """One job. `comes`, milliseconds UTC."""

    comes: int
    account: str
    project: str
    kind: str
    priority: int
    calls: int
    moves: bool = False
    """It may go to another account."""
    startup: int | None = None
    """Milliseconds from the claim to the first call, where they are not the scenario's."""


@dataclass(frozen=True, slots=True)
class Login:
    """One account of a sort, and the project that it belongs to."""

    name: str
    sort: str
    project: str


def logins(scenario: Scenario) -> list[Login]:
    """All accounts; those of a sort are dealt out to the projects in turn."""
    return [
        Login(f"{sort}-{number}", sort, _project(number % scenario.projects))
        for sort, accounts in scenario.accounts.items()
        for number in range(accounts.count)
    ]


def _project(number: int) -> str:
    return f"/project/{number}"


def draw(scenario: Scenario, seed: int) -> Iterator[Errand]:
    """The jobs in the order in which they come."""
    dice = random.Random(seed)
    sorts, kinds = list(scenario.accounts), list(scenario.kinds)
    shares = [one.share for one in scenario.accounts.values()]
    parts = [one.share for one in scenario.kinds.values()]
    places = _places(scenario)
    for comes in _times(scenario, dice):
        sort = dice.choices(sorts, shares)[0]
        kind = dice.choices(kinds, parts)[0]
        project = _project(dice.randrange(scenario.projects))
        account = dice.choice(places.get((sort, project)) or places[sort, ""])
        calls = dice.randint(*scenario.kinds[kind].calls)
        moves = dice.random() < scenario.reroutes
        yield Errand(comes, account, project, kind, scenario.kinds[kind].priority, calls, moves)


def _times(scenario: Scenario, dice: random.Random) -> list[int]:
    """When the jobs come: of each hour its part, anywhere in it."""
    hours = dice.choices(range(HOURS), scenario.weights, k=scenario.arrivals.jobs)
    return sorted(scenario.zero + int((hour + dice.random()) * HOUR_MS) for hour in hours)


def _places(scenario: Scenario) -> dict[tuple[str, str], list[str]]:
    """The accounts of each sort and project; under no project all of the sort."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in logins(scenario):
        found.setdefault((one.sort, one.project), []).append(one.name)
        found.setdefault((one.sort, ""), []).append(one.name)
    return found


def others(scenario: Scenario, login: Login, known: Sequence[Login]) -> list[str]:
    """Where a job of an account may go instead: the accounts of its project and sort."""
    return [one.name for one in known if (one.sort, one.project) == (login.sort, login.project) and one != login]


def sort_of(scenario: Scenario, login: Login) -> Accounts:
    return scenario.accounts[login.sort]
