"""What the operator does to jobs and scopes."""

from __future__ import annotations

from msgspec import Struct

from engine.events.body import Body
from engine.model import Failure, JobSpec, State, Usage
from engine.model.route import RouteCause


class Stopping(Body, frozen=True, tag="stopping"):
    """The operator cancelled a running job; its processes are being ended."""

    by: str


class Cancelled(Body, frozen=True, tag="cancelled"):
    by: str
    exit_code: int | None = None
    usage: tuple[Usage, ...] = ()
    reason: str | None = None
    cause: int | None = None
    """The job because of which it was skipped."""


class Retried(Body, frozen=True, tag="retried"):
    """The operator put an ended job back into the queue."""

    by: str
    fresh: bool = False
    fork: bool = False


class Held(Body, frozen=True, tag="held"):
    """Of a job; or, without one, of a scope: `all`, or one such as `project:/src/api`."""

    by: str
    scope: str = "all"


class Released(Body, frozen=True, tag="released"):
    by: str
    scope: str = "all"


class Prioritised(Body, frozen=True, tag="prioritised"):
    by: str
    priority: int


class Moved(Body, frozen=True, tag="moved"):
    """The job has another place in its queue."""

    by: str
    rank: int
    priority: int


class Snoozed(Body, frozen=True, tag="snoozed"):
    by: str
    not_before: int | None = None


class Edited(Body, frozen=True, tag="edited"):
    """The job asks for something else from now on. Its spec is in here, as it is in a submission."""

    by: str
    spec: JobSpec
    title: str


class Rerouted(Body, frozen=True, tag="rerouted"):
    """The next attempt runs on another target."""

    by: str
    agent: str
    model: str | None = None
    account: str | None = None
    was: str = ""
    """The target before, as it is written."""
    at_once: bool = False
    """What it waited for was a limit of the account that it has left."""
    cause: RouteCause | None = None
    """In which way the target before could not be used, where that is why."""
    reason: str = ""
    until: int | None = None
    """When the target before is expected to serve again."""
    added: int | None = None
    """Micro-dollars that the move was expected to add; None where that is not known."""


class Standing(Struct, frozen=True, omit_defaults=True):
    """How a job stood, as far as an operator's verb can change it."""

    state: State
    title: str
    agent: str
    priority: int
    rank: int
    spec_seq: int
    model: str | None = None
    account: str | None = None
    not_before: int | None = None
    held_by: str | None = None
    ended_at: int | None = None
    failure: Failure | None = None
    reason: str | None = None
    fresh: bool = False
    anew: bool = False
    tries: int = 0
    waits: int = 0
    cause: int | None = None
    fork: bool = False
    triage: str | None = None
    route: str | None = None


class Restored(Body, frozen=True, tag="restored"):
    """An action was taken back: the job stands as it did before."""

    by: str
    action: int
    to: Standing


class CapSet(Body, frozen=True, tag="cap_set"):
    """How many attempts may run at once in a scope. None: as many as the settings say."""

    by: str
    scope: str
    limit: int | None = None


class Draining(Body, frozen=True, tag="draining"):
    """Nothing new starts until the engine has stopped, or the drain was taken back."""

    by: str
    ended: bool = False


VerbBody = (
    Stopping
    | Cancelled
    | Retried
    | Held
    | Released
    | Prioritised
    | Moved
    | Snoozed
    | Edited
    | Rerouted
    | Restored
    | CapSet
    | Draining
)
