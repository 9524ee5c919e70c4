"""What a gate found of an attempt's work, and what it says of it."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

from engine.model.attempt import DiffStat
from engine.model.check import CheckResult
from engine.model.words import Grade

NO_GATE = "none"  #: what a job says that is to have no gate, whatever its project or kind has


class Severity(StrEnum):
    """How much a finding weighs. A review that approves with a blocker does not approve."""

    BLOCKER = "blocker"
    MAJOR = "major"
    MINOR = "minor"
    NOTE = "note"


class Source(StrEnum):
    """Who found something."""

    CHECK = "check"
    EVIDENCE = "evidence"
    CLAIM = "claim"
    """It was said, and it is not so."""
    REVIEW = "review"
    JUDGE = "judge"


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong with the work."""

    source: Source
    what: str
    """One line."""
    proof: str = ""
    """What shows it: the end of an output, a line of the diff, an exit code."""
    file: str = ""
    line: int | None = None
    severity: Severity = Severity.MAJOR
    by: str = ""
    """The command, the rule or the target that found it."""


class Fact(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that was looked at in the workspace. `holds`: None where it cannot be told."""

    name: str
    holds: bool | None
    told: str = ""


class ClaimKind(StrEnum):
    """What an agent can be held to."""

    TESTS = "tests"
    FILE = "file"
    COMMIT = "commit"
    PUSH = "push"


class Claim(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that the agent said at its end. `holds`: None where no fact speaks for it or against it."""

    kind: ClaimKind
    quote: str
    subject: str = ""
    """The file that it is about."""
    holds: bool | None = None
    proof: str = ""


class Opinion(StrEnum):
    """What a reviewer or a judge says."""

    APPROVE = "approve"
    REFUSE = "refuse"
    FAILED = "failed"
    """Nothing that could be read: never a pass."""


class Review(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One reviewer's word, or the judge's. `opinion` is None as long as it works."""

    target: str
    job: int | None = None
    opinion: Opinion | None = None
    why: str = ""
    findings: list[Finding] = field(default_factory=list)
    tokens: int = 0
    cost_micros: int | None = None
    cost_grade: Grade = Grade.UNKNOWN


class Stage(StrEnum):
    """How far a look has come."""

    CHECKING = "checking"
    REVIEWING = "reviewing"
    JUDGING = "judging"
    ASKING = "asking"
    """The operator has its card."""
    OVER = "over"


class Verdict(StrEnum):
    """What came of a look."""

    PASSED = "passed"
    REFUSED = "refused"
    ACCEPTED = "accepted"
    """It was refused, and the operator took it for done all the same."""
    STOPPED = "stopped"
    """Nobody wants to know any more: the job was cancelled or failed."""


class GateLook(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One look of a gate at the work of an attempt."""

    id: int
    job: int
    attempt: int
    """Its number."""
    gate: str
    round: int
    at: int
    stage: Stage
    target: str = ""
    """Who did the work."""
    claimed: bool = False
    """The agent asked for it while it worked; it decides nothing."""
    reused: bool = False
    """Nothing has changed since an earlier look, whose results these are."""
    ended_at: int | None = None
    verdict: Verdict | None = None
    by: str = ""
    """Who had the last word: `checks`, `reviewers`, a judge's target, or the operator."""
    why: str = ""
    tree: str = ""
    """What was looked at, as a hash; empty where it is not known."""
    diff: DiffStat | None = None
    evidence: list[Fact] = field(default_factory=list)
    checks: list[CheckResult] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    judge: Review | None = None
    findings: list[Finding] = field(default_factory=list)
    card: int | None = None
    folder: str = ""
    """Where the outputs of its checks are kept."""

    @property
    def passed(self) -> bool:
        return self.verdict is Verdict.PASSED


class GateCheck(Struct, frozen=True, kw_only=True):
    """A command of a gate, and the seconds that it may take."""

    command: str
    seconds: float


class GateLine(Struct, frozen=True, kw_only=True):
    """A gate of the settings."""

    name: str
    kinds: list[str]
    projects: list[str]
    checks: list[GateCheck]
    evidence: list[str]
    """What it looks at, in words."""
    reviewers: list[str]
    """Targets; `2 of another family` where they are chosen for each job."""
    quorum: int
    judge: str | None
    rounds: int


class GatePlan(Struct, frozen=True, kw_only=True):
    """What the gate of one job would do."""

    job: int
    gate: GateLine | None
    why: str
    """Why it is this one, or none."""
    reviewers: list[str] = field(default_factory=list)
    """Those that would be asked about this job."""
    notes: list[str] = field(default_factory=list)


class JobGate(Struct, frozen=True, kw_only=True):
    """The gate of a job, and all its looks, the oldest first."""

    plan: GatePlan
    looks: list[GateLook] = field(default_factory=list)
