"""Cards, their answers, and the rules that come of them."""

from __future__ import annotations

from engine.decision import CardKind, Choice, Past, Rule
from engine.events.body import Body


class Asked(Body, frozen=True, tag="asked"):
    """The agent waits for the operator."""

    card: int
    what: CardKind
    tool: str
    summary: str
    due: int | None = None


class Answered(Body, frozen=True, tag="answered"):
    """A card came to its end: by the operator, by a rule, by its time, or because nobody asks any more."""

    card: int
    choice: Choice
    by: str
    reason: str | None = None
    rule: int | None = None
    left: int | None = None
    """The oldest card of the job that is still open."""


class Reopened(Body, frozen=True, tag="reopened"):
    """An answer was taken back: the card waits again."""

    card: int
    by: str
    due: int | None = None
    left: int | None = None
    """The oldest card of the job that is open then."""


class CardSnoozed(Body, frozen=True, tag="card_snoozed"):
    """A card was put aside until a time, or is back; with it, its default."""

    card: int
    by: str
    until: int | None = None
    due: int | None = None


class DefaultNear(Body, frozen=True, tag="default_near"):
    """A card will soon be answered by itself."""

    card: int
    what: CardKind
    summary: str
    default: Choice
    due: int


class Escalated(Body, frozen=True, tag="escalated"):
    """Nobody has answered a card for long: it is said louder."""

    card: int
    what: CardKind
    summary: str
    times: int
    since: int


class RuleKept(Body, frozen=True, tag="rule_kept"):
    """A standing answer, from now on."""

    rule: Rule


class RuleProposed(Body, frozen=True, tag="rule_proposed"):
    """Like answers suggest a rule."""

    proposal: int
    card: int
    rule: Rule
    past: Past


class RuleDropped(Body, frozen=True, tag="rule_dropped"):
    by: str
    rule: Rule


CardBody = Asked | Answered | Reopened | CardSnoozed | DefaultNear | Escalated | RuleKept | RuleProposed | RuleDropped
