"""What a route does about a job whose target cannot be used. Pure.

One function decides it for a failure that has happened, for a target that is closed before the start, for `explain`
and for a preview. Without a policy nothing moves; and what moves is asked of the targets in the order of the route.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.dispatch.routebook import Route
from engine.model import Target
from engine.model.route import PASSING, RouteCause, RoutePolicy, Standing

#: Milliseconds for which a job does not come back to a target that it has left, where nobody says when it serves again.
AWAY_MS = {RouteCause.LIMIT: 300_000, RouteCause.OVERLOAD: 300_000, RouteCause.AUTH: 3_600_000}

RETURNS = 1  #: so often a route sends a job back to a target where it has worked


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target of the route, and how it stands for this job."""

    target: Target
    standing: Standing


@dataclass(frozen=True, slots=True)
class Case:
    """What the decision depends on."""

    route: Route
    target: Target
    """Where the job is."""
    cause: RouteCause
    candidates: Sequence[Candidate] = ()
    """In the order of the route; the job's own target may be among them."""
    until: int | None = None
    """When the target is expected to serve again."""
    since: int | None = None
    """Since when the job waits for it; None where it only begins to."""
    spent: int | None = 0
    """Micro-dollars that its moves so far have added; None where that is not known."""
    started: bool = False
    """It has worked on its target, so that what it did has to be handed over."""


@dataclass(frozen=True, slots=True)
class Stay:
    """The job stays with its target."""

    why: str = ""
    at: int | None = None
    """It is tried again then, and not later; None: as the table of failures says."""
    plain: bool = False
    """What happens without a route, as nothing else can be done."""


@dataclass(frozen=True, slots=True)
class Move:
    """The job goes on at another target."""

    to: Candidate
    why: str
    handoff: bool = False
    """By another agent or account, which is told what was done so far."""


@dataclass(frozen=True, slots=True)
class Ask:
    """The operator chooses."""

    why: str
    choices: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Stop:
    """The job fails."""

    why: str


Verdict = Stay | Move | Ask | Stop


@dataclass(frozen=True, slots=True)
class Trouble:
    """In which way a job's target cannot be used."""

    cause: RouteCause
    reason: str = ""
    until: int | None = None
    started: bool = False
    """It has worked there."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a route does about a trouble, and what that was decided by."""

    verdict: Verdict
    case: Case
    trouble: Trouble


@dataclass(slots=True)
class _Sorted:
    """The candidates by what keeps a job from them."""

    free: list[Candidate] = field(default_factory=list)
    dear: list[Candidate] = field(default_factory=list)
    """They would add more than the route allows."""
    unpriced: list[Candidate] = field(default_factory=list)
    """What they would add is not known, and the route has a bound."""
    shut: list[Candidate] = field(default_factory=list)
    """Nothing may start there now."""


def decide(case: Case, now: int) -> Verdict:
    """What happens to a job whose target cannot be used in some way. `now`: milliseconds UTC."""
    policy = case.route.policies.get(case.cause)
    name = f"route {case.route.name}"
    if policy is None:
        return Stay(plain=True)
    if policy is RoutePolicy.WAIT:
        return Stay(f"{name} waits on {case.cause}")
    if policy is RoutePolicy.STOP:
        return Stop(f"{name} stops on {case.cause}")
    found = _sorted(case)
    if policy is RoutePolicy.ASK:
        return Ask(f"{name} asks on {case.cause}", (*found.free, *found.unpriced, *found.dear))
    if (patient := _patient(case, now)) is not None:
        return patient
    if found.free:
        return _move(case, found.free[0])
    if found.unpriced:
        first = found.unpriced[0].target
        return Ask(f"{name} has a bound on added cost, and nobody knows what {first} would add", (*found.unpriced,))
    return Stay(_stuck(case, found), plain=case.cause not in PASSING)


def _sorted(case: Case) -> _Sorted:
    found = _Sorted()
    after = case.cause in PASSING or case.cause is RouteCause.AUTH
    for one in case.candidates:
        standing = one.standing
        if one.target == case.target:
            after = True  # where the work is too hard, only what comes later in the order is better
        elif not after or standing.lacks or standing.left or _same_trouble(case, one.target):
            continue
        elif standing.closed:
            found.shut.append(one)
        elif case.route.most is None:
            found.free.append(one)
        elif standing.added is None or case.spent is None:
            found.unpriced.append(one)
        elif case.spent + standing.added > case.route.most:
            found.dear.append(one)
        else:
            found.free.append(one)
    return found


def _same_trouble(case: Case, target: Target) -> bool:
    """A login that is not let in, is not whatever the model."""
    return case.cause is RouteCause.AUTH and target.paid_by == case.target.paid_by


def _patient(case: Case, now: int) -> Stay | None:
    """Whether it is waited for first."""
    patience = case.route.patience
    if not patience or case.cause not in PASSING:
        return None
    ends = (now if case.since is None else case.since) + patience
    if case.until is not None and now < case.until <= ends:
        return Stay(f"it serves again within the patience of route {case.route.name}", case.until)
    if case.until is None and now < ends:
        return Stay(f"route {case.route.name} is patient", ends)
    return None


def _move(case: Case, to: Candidate) -> Move:
    ways = (to.target.agent, to.target.account) != (case.target.agent, case.target.account)
    return Move(to, f"route {case.route.name} reroutes on {case.cause}", ways and case.started)


def _stuck(case: Case, found: _Sorted) -> str:
    """Why there is no target left."""
    name = f"route {case.route.name}"
    if found.dear:
        one = found.dear[0]
        added, most = _dollars(one.standing.added or 0), _dollars(case.route.most or 0)
        before = f" on top of {_dollars(case.spent)}" if case.spent else ""
        return f"{name} may add {most}, and {one.target} would add {added}{before}"
    if found.shut:
        return f"no other target of {name} is open: {'; '.join(one.standing.closed for one in found.shut)}"
    return f"{name} has no other target for it"


def _dollars(micros: int) -> str:
    return f"${micros / 1_000_000:.2f}"
