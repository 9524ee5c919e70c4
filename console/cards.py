"""Cards and rules as text: what is asked, what was answered, what stands. Pure."""

from __future__ import annotations

from console.format import age, clean_line, clean_lines, job_name, moment, plural
from engine.decision import Answered, Card, CardKind, Choice, Effect, Rule

_PAST = {
    Choice.ALLOW: "allowed once",
    Choice.JOB: "allowed for this job",
    Choice.RULE: "allowed by a rule",
    Choice.DENY: "denied",
    Choice.ANSWER: "answered",
    Choice.WITHDRAWN: "not asked any more",
}


def stands(card: Card, now: int) -> str:
    """What a list says of a card: what happens by default and when, or how it was answered."""
    if card.choice is not None:
        return _PAST[card.choice]
    if card.due is None:
        return "waits"
    return f"{card.default} in {age(max(0, card.due - now))}"


def default_text(card: Card, now: int) -> str:
    """What happens if nobody answers."""
    if card.due is None:
        return "nothing happens until somebody answers"
    return f"{card.default} at {moment(card.due)}, in {age(max(0, card.due - now))}"


def card_lines(card: Card, now: int) -> list[str]:
    """Everything on a card."""
    facts = {
        "job": f"{job_name(card.job)}  {clean_line(card.title)}",
        "project": card.project and clean_line(card.project),
        "agent": card.agent,
        "asks": f"{clean_line(card.tool)}  {clean_line(card.summary)}",
        "why": clean_line(card.why) or None,
        "since": f"{moment(card.at)}, {age(now - card.at)}",
        "default": default_text(card, now) if card.open else None,
        "choices": ", ".join(card.choices) if card.open else None,
        "options": ", ".join(map(clean_line, card.options)) or None,
        "ended": None if card.choice is None else f"{_PAST[card.choice]} by {card.by}",
        "reason": card.reason and clean_line(card.reason),
        "rule": None if card.rule is None else str(card.rule),
        "in full": card.file or None,
    }
    lines = [f"card {card.id}  {card.kind}"]
    lines += [f"  {name:<9} {value}" for name, value in facts.items() if value]
    lines += ["", "  arguments", *(f"    {line}" for line in clean_lines(card.arguments))]
    if card.diff:
        lines += ["", "  diff", *(f"    {line}" for line in clean_lines(card.diff))]
    return lines


def answered_line(done: Answered) -> str:
    """`allowed by a rule: J3 Bash git push; rule 2: allow Bash `git push *` in /src/api; 2 more cards with it`."""
    card = done.card
    assert card.choice is not None, "it has just been answered"
    said = [f"{_PAST[card.choice]}: {job_name(card.job)} {clean_line(card.tool)} {clean_line(card.summary)}"]
    if done.rule is not None:
        said.append(f"rule {done.rule.id}: {rule_line(done.rule)}")
    if done.also:
        said.append(f"{plural(len(done.also), 'more card')} with it")
    return "; ".join(said)


def rule_line(rule: Rule) -> str:
    """What a rule says, in one line."""
    what = "any use" if rule.pattern == "*" else f"`{clean_line(rule.pattern)}`"
    return f"{rule.effect} {clean_line(rule.tool)} {what} in {where(rule)}"


def where(rule: Rule) -> str:
    """Where a rule holds."""
    if rule.job is not None:
        return job_name(rule.job)
    return clean_line(rule.project) if rule.project is not None else "every project"


def choice_text(card: Card, choice: Choice) -> str:
    """What a choice means for a card, for a question before it."""
    if card.kind is CardKind.QUESTION:
        return "answer" if choice is Choice.ANSWER else "go on without an answer"
    tool = clean_line(card.tool)
    return {
        Choice.ALLOW: f"allow this {tool} once",
        Choice.JOB: f"allow every further {tool} of {job_name(card.job)}",
        Choice.RULE: f"{Effect.ALLOW} from now on",
        Choice.DENY: f"deny this {tool}",
    }.get(choice, choice)
