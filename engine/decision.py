"""Decisions: what an agent asks of the operator while it works, and what may be answered. Frozen types, no I/O.

Times are milliseconds UTC, as in `engine.model`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct, field

ARGUMENTS_LIMIT = 4_000  #: characters of a tool's arguments on a card; the whole is in the run's files
DIFF_LIMIT = 16_000  #: characters of the change that a card shows
REASON_LIMIT = 2_000  #: characters of the operator's own words
PATTERN_LIMIT = 500  #: characters of a rule's pattern
CHOICES_MOST = 12  #: answers that a question may offer


class CardKind(StrEnum):
    """What is asked."""

    PERMISSION = "permission"
    """To use a tool."""
    QUESTION = "question"
    """Something that the agent cannot know."""
    ROUTE = "route"
    """Where a job goes on whose target cannot be used. Its options are targets; no agent waits for it."""
    CLARIFY = "clarify"
    """What a job means that does not say enough to be begun. No agent asks: none has been started."""
    BUDGET = "budget"
    """What follows now that a budget is used up. Headway asks, and not an agent."""
    POLICY = "policy"
    """Whether a rule is to give an answer that the operator has given again and again."""
    MERGE = "merge"
    """What becomes of a job's work that cannot come to its branch as it is."""
    APPROVAL = "approval"
    """Whether a pipeline goes on with what one of its steps said."""
    STEP = "step"
    """What becomes of a pipeline whose step found something that nobody could mend."""
    GATE = "gate"
    """What becomes of work that its gate refuses, and that does not get better by itself."""


class Asker(StrEnum):
    """Who waits for the answer of a card."""

    AGENT = "agent"
    """The agent, by its own protocol: the answer is passed on to it."""
    TOOL = "tool"
    """An agent's call of a tool of Headway's own: whoever carries the call out passes the answer on."""
    HEADWAY = "headway"
    """Nobody who would have to be told."""


class Choice(StrEnum):
    """How a card is answered, or came to its end."""

    ALLOW = "allow"
    """This once."""
    JOB = "job"
    """And whatever else matches, for as long as the job goes on."""
    RULE = "rule"
    """And whatever else matches, from now on: a rule is kept."""
    DENY = "deny"
    """The agent is told the reason, and goes on without."""
    ANSWER = "answer"
    """A question is answered, in the words of the reason."""
    REROUTE = "reroute"
    """The job goes on at a target: the one in the reason, by its name or its number, else the first."""
    WAIT = "wait"
    """It stays with its target."""
    STOP = "stop"
    """It fails; of a shared budget, nothing more starts in its period."""
    RUN = "run"
    """The job is begun as it is."""
    EDIT = "edit"
    """The words of the reason are put below its prompt, and it is begun."""
    CANCEL = "cancel"
    """It is not begun."""
    MORE = "more"
    """So much more may be spent: as much again, or the amount of the reply."""
    DONE = "done"
    """It is taken for done, whatever its gate says."""
    UNCAPPED = "uncapped"
    """It may go on to its end, whatever that costs: of a shared budget, for as long as its period goes on."""
    ACCEPT = "accept"
    """The proposed rule is kept."""
    DISMISS = "dismiss"
    """It is not, and not proposed again."""
    APPROVE = "approve"
    """It goes on so."""
    BACK = "back"
    """It goes back to who did it, in the same session, with what is wrong and the words of the reason."""
    RETRY = "retry"
    """It is tried once more as it is."""
    DROP = "drop"
    """It is not merged; its branch stays."""
    LEAVE = "leave"
    """The operator sees to it by hand."""
    WITHDRAWN = "withdrawn"
    """Nobody answered: the agent ended, or does not ask any more."""


#: What an operator may choose, by what is asked.
CHOICES: dict[CardKind, tuple[Choice, ...]] = {
    CardKind.PERMISSION: (Choice.ALLOW, Choice.JOB, Choice.RULE, Choice.DENY),
    CardKind.QUESTION: (Choice.ANSWER, Choice.DENY),
    CardKind.ROUTE: (Choice.REROUTE, Choice.WAIT, Choice.STOP),
    CardKind.CLARIFY: (Choice.RUN, Choice.EDIT, Choice.CANCEL),
    CardKind.BUDGET: (Choice.MORE, Choice.UNCAPPED, Choice.STOP),
    CardKind.POLICY: (Choice.ACCEPT, Choice.DISMISS),
    CardKind.MERGE: (Choice.BACK, Choice.RETRY, Choice.DROP, Choice.LEAVE),
    CardKind.APPROVAL: (Choice.APPROVE, Choice.BACK, Choice.CANCEL),
    CardKind.STEP: (Choice.BACK, Choice.RETRY, Choice.APPROVE, Choice.STOP),
    CardKind.GATE: (Choice.DONE, Choice.BACK, Choice.REROUTE, Choice.STOP),
}


class Effect(StrEnum):
    """What a rule says of a use of a tool."""

    ALLOW = "allow"
    DENY = "deny"


class Rule(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A standing answer. `engine.permission` says what it matches."""

    tool: str
    """Of other cards than permissions, what theirs say: `route`, `triage`, the scope of a budget."""
    pattern: str = "*"
    effect: Effect = Effect.ALLOW
    """Of permissions."""
    kind: CardKind = CardKind.PERMISSION
    """Of the cards that it answers."""
    choice: Choice | None = None
    """What it answers, where those are no permissions."""
    words: str | None = None
    """The reason of that answer: the target of a reroute."""
    job_kind: str | None = None
    """Only in jobs of this kind."""
    expires_at: int | None = None
    project: str | None = None
    """The directory of a project; None is every one."""
    job: int | None = None
    """Only this job."""
    id: int = 0
    """Its number; 0 for one of headway.yaml."""
    at: int = 0
    by: str = "headway.yaml"
    card: int | None = None
    """The card that was answered with it."""
    uses: int = 0
    """How often it has decided."""
    used_at: int | None = None


class Past(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a rule would have decided of the cards that there are."""

    matched: int = 0
    agreed: int = 0
    """Of these, that the operator answered as it would have."""
    against: int = 0
    """That he answered otherwise."""
    other: int = 0
    """That nobody answered: rules did, their time, or the end of their agent."""
    cards: tuple[int, ...] = ()
    """The newest of those that the operator answered."""


class ProposalState(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"
    DISMISSED = "dismissed"


class Proposal(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule that like answers suggest."""

    id: int
    rule: Rule
    past: Past
    at: int
    state: ProposalState = ProposalState.OPEN
    card: int | None = None
    """Where it is asked about."""
    kept: int | None = None
    """The rule that came of it."""


class NewRule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A standing answer in the operator's own words: body of `POST /v1/rules`."""

    tool: Annotated[str, Meta(min_length=1, max_length=PATTERN_LIMIT)]
    pattern: Annotated[str, Meta(min_length=1, max_length=PATTERN_LIMIT)] = "*"
    effect: Effect = Effect.ALLOW
    project: str | None = None
    job_kind: str | None = None
    expires: str | None = None
    """For how long: `7d`."""
    dry_run: bool = False


class Card(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that waits for the operator, or did."""

    id: int
    kind: CardKind
    job: int
    attempt: int
    agent: str
    tool: str
    summary: str
    """One line: the command, the path, the question."""
    arguments: str
    """The tool's arguments as JSON, cut at `ARGUMENTS_LIMIT`."""
    at: int
    subject: str = ""
    """What a rule would be held against, where it is no longer than a pattern may be."""
    title: str = ""
    """Of the job."""
    project: str | None = None
    diff: str = ""
    """The change that a file tool would make, unified, cut at `DIFF_LIMIT`."""
    why: str = ""
    """What led to it: the agent's last words, and why nothing decided it already."""
    options: tuple[str, ...] = ()
    """The answers that a question offers; others may be given."""
    file: str = ""
    """The file of the run directory that holds the arguments in full."""
    due: int | None = None
    """When the default is taken; None where nothing is done until somebody answers."""
    default: Choice = Choice.DENY
    answered_at: int | None = None
    choice: Choice | None = None
    reason: str | None = None
    by: str | None = None
    rule: int | None = None
    """The rule that was made of the answer, or that gave it."""
    sent_at: int | None = None
    """When the agent was told."""
    asker: Asker = Asker.HEADWAY
    of_job: bool = True
    """Its job waits for the answer."""
    snoozed_until: int | None = None
    """Put aside until then."""
    escalated: int = 0
    """How often it was said louder, as nobody answered."""

    @property
    def open(self) -> bool:
        return self.answered_at is None

    @property
    def choices(self) -> tuple[Choice, ...]:
        return CHOICES[self.kind]


class Reply(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The operator's answer to a card: body of `POST /v1/decisions/ID`."""

    choice: Choice
    reason: Annotated[str, Meta(max_length=REASON_LIMIT)] | None = None
    """For `deny`, what the agent is told; for `answer`, the answer; for `reroute`, the target or its number; for
    `edit`, what the prompt lacks.
    """
    pattern: Annotated[str, Meta(min_length=1, max_length=PATTERN_LIMIT)] | None = None
    """For `job` and `rule`: what else is allowed. Unset: for `job` any use of the tool, for `rule` this very one."""
    amount: Annotated[str, Meta(min_length=1, max_length=50)] | None = None
    """`more`: how much, as `$2` or `200k tokens`; unset is as much as the budget had."""
    everywhere: bool = False
    """`rule`: in every project, not only in this one."""
    expires: Annotated[str, Meta(min_length=1, max_length=20)] | None = None
    """`rule`, `accept`: for how long the rule holds, as `7d`, or `never`."""
    dry_run: bool = False


class Outlook(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What follows from an answer, by its dry run."""

    says: list[str] = field(default_factory=list)
    """In a few words each: what becomes of the job, of others, of rules."""
    start: int | None = None
    """When the job is expected to go on."""
    finish: int | None = None
    waits: str = ""
    """Why it would still wait."""
    cost_micros: int | None = None
    """By how much it changes what the unfinished jobs will cost."""


class Foreseen(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of the answers that a card may have, and what would follow from it."""

    choice: Choice
    reason: str | None = None
    amount: str | None = None
    outlook: Outlook | None = None
    refused: str = ""
    """Why it cannot be given now."""


class SnoozeCards(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Put cards aside: body of `POST /v1/decisions/snooze`."""

    cards: Annotated[list[int], Meta(min_length=1, max_length=1_000)]
    until: str | int | None = None
    """`2h`, a time, milliseconds UTC; unset takes them up again."""
    dry_run: bool = False


class Snoozed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The cards that were put aside, or taken up again."""

    cards: list[Card]
    until: int | None = None
    action: int | None = None
    dry_run: bool = False


class Replies(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The same answer to several cards, all or none: body of `POST /v1/decisions`."""

    cards: Annotated[list[int], Meta(min_length=1, max_length=1_000)]
    reply: Reply


class Answered(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an answer did, or would do."""

    card: Card
    rule: Rule | None = None
    """The rule that it made."""
    also: list[int] = field(default_factory=list)
    """Further open cards that the rule answered at once."""
    action: int | None = None
    """Its number among the actions."""
    dry_run: bool = False
    outlook: Outlook | None = None


class RuleMade(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule, what it would have decided so far, and the cards that it has decided of late."""

    rule: Rule
    past: Past
    used_on: list[Card] = field(default_factory=list)
    action: int | None = None
    dry_run: bool = False
