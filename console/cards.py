"""Cards and rules as text: what is asked, what was answered, what stands. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from console.diff import diff_entries
from console.format import age, clean_line, clean_lines, job_name, moment, plural
from console.roles import Role
from console.transcript import Entry
from engine.decision import Answered, Card, CardKind, Choice, Foreseen, Outlook, Past, Rule, Snoozed

_PAST = {
    Choice.ALLOW: "allowed once",
    Choice.JOB: "allowed for this job",
    Choice.RULE: "allowed by a rule",
    Choice.DENY: "denied",
    Choice.ANSWER: "answered",
    Choice.REROUTE: "rerouted",
    Choice.WAIT: "waits where it is",
    Choice.STOP: "stopped",
    Choice.RUN: "run as it is",
    Choice.EDIT: "run with more words",
    Choice.CANCEL: "cancelled",
    Choice.MORE: "allowed more",
    Choice.UNCAPPED: "goes on without a cap",
    Choice.ACCEPT: "made a rule",
    Choice.DISMISS: "not made a rule",
    Choice.APPROVE: "approved",
    Choice.BACK: "sent back",
    Choice.RETRY: "tried again",
    Choice.DROP: "dropped",
    Choice.LEAVE: "left to you",
    Choice.DONE: "taken for done",
    Choice.WITHDRAWN: "not asked any more",
}

#: What Headway asks itself: its arguments are texts to read.
_TOLD = frozenset({CardKind.ROUTE, CardKind.MERGE, CardKind.APPROVAL, CardKind.STEP})


def stands(card: Card, now: int) -> str:
    """What a list says of a card: what happens by default and when, or how it was answered."""
    if card.choice is not None:
        return _PAST[card.choice]
    if card.snoozed_until is not None:
        return f"back in {age(max(0, card.snoozed_until - now))}"
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
        "aside": None if card.snoozed_until is None else f"until {moment(card.snoozed_until)}",
        "choices": ", ".join(card.choices) if card.open else None,
        "options": ", ".join(map(clean_line, card.options)) or None,
        "ended": None if card.choice is None else f"{_PAST[card.choice]} by {card.by}",
        "reason": card.reason and clean_line(card.reason),
        "rule": None if card.rule is None else str(card.rule),
        "in full": card.file or None,
    }
    lines = [f"card {card.id}  {card.kind}"]
    lines += [f"  {name:<9} {value}" for name, value in facts.items() if value]
    if card.kind not in (CardKind.BUDGET, CardKind.POLICY):
        told = card.kind in _TOLD
        arguments = argument_lines(card) if told else clean_lines(card.arguments)
        lines += ["", "  arguments", *(f"    {line}" for line in arguments)]
    if card.diff:
        lines += ["", "  diff", *(f"    {line}" for line in clean_lines(card.diff))]
    return lines


def card_entries(card: Card) -> list[Entry]:
    """Everything on a card that does not change with the time, for the screen."""
    where_ = card.project or "a directory of its own"
    facts = {
        "job": f"{job_name(card.job)}  {clean_line(card.title)}",
        "in": clean_line(where_),
        "why": clean_line(card.why),
        "asks": f"{clean_line(card.tool)}  {clean_line(card.summary)}",
    }
    lines = [Entry(((f"{name:<6}", Role.MUTED), (value, Role.TEXT)), True, 6) for name, value in facts.items() if value]
    for number, option in enumerate(card.options, 1):
        lines.append(Entry(((f"{number:>4}  ", Role.KEY), (clean_line(option), Role.TEXT)), True, 6))
    lines.append(Entry((("", Role.TEXT),)))
    if card.diff:
        return [*lines, *diff_entries(card.diff)]
    if card.kind in (CardKind.BUDGET, CardKind.POLICY):
        return lines
    return [*lines, *(Entry(((line, Role.TEXT),), True, 2) for line in argument_lines(card))]


def argument_lines(card: Card) -> list[str]:
    """The arguments, one a line, texts of several lines as they are; as they came where they are no JSON object."""
    try:
        values = msgspec.json.decode(card.arguments, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return clean_lines(card.arguments)
    lines = []
    for name, value in values.items():
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        first, *rest = clean_lines(text) or [""]
        lines += [f"{clean_line(name)}: {first}", *(f"  {line}" for line in rest)]
    return lines


def answered_line(done: Answered) -> str:
    """`allowed by a rule: J3 Bash git push; rule 2: allow Bash `git push *` in /src/api; 2 more cards with it`."""
    card = done.card
    assert card.choice is not None, "it has just been answered"
    said = [f"{_PAST[card.choice]}: {job_name(card.job)} {clean_line(card.tool)} {clean_line(card.summary)}"]
    if card.kind is CardKind.ROUTE:
        to = f" to {clean_line(card.reason or '')}" if card.choice is Choice.REROUTE else ""
        said = [f"{_PAST[card.choice]}: {job_name(card.job)}{to}"]
    if done.rule is not None:
        said.append(f"rule {done.rule.id}: {rule_line(done.rule)}")
    if done.also:
        said.append(f"{plural(len(done.also), 'more card')} with it")
    return "; ".join(said)


def outlook_lines(outlook: Outlook, now: int) -> list[str]:
    """What follows from an answer: what it does, when the job goes on then, what that costs."""
    lines = [clean_line(one) for one in outlook.says]
    if outlook.start is not None and not outlook.waits:
        lines.append("it goes on at once" if outlook.start <= now else f"it goes on in {age(outlook.start - now)}")
    elif outlook.waits:
        lines.append(f"it still waits: {clean_line(outlook.waits)}")
    if outlook.cost_micros:
        more = "more" if outlook.cost_micros > 0 else "less"
        lines.append(f"the queue costs about ${abs(outlook.cost_micros) / 1_000_000:.2f} {more}")
    return lines or ["nothing changes"]


def foreseen_lines(foreseen: Sequence[Foreseen], now: int) -> list[str]:
    """A line for each answer that a card may have, with what follows from it."""
    said = [clean_line(" ".join(filter(None, (one.choice, one.reason, one.amount)))) for one in foreseen]
    width = max(map(len, said), default=0)
    then = (one.refused or "; ".join(outlook_lines(one.outlook or Outlook(), now)) for one in foreseen)
    return [f"{words:<{width}}  {clean_line(follows)}" for words, follows in zip(said, then, strict=True)]


def foreseen_entries(foreseen: Sequence[Foreseen], now: int) -> list[Entry]:
    """The same for the screen, above what is on the card."""
    lines = foreseen_lines(foreseen, now)
    return [*(Entry((("", Role.MUTED), (line, Role.MUTED)), True, 2) for line in lines), Entry((("", Role.TEXT),))]


def snoozed_line(done: Snoozed, now: int) -> str:
    """`card 3, card 4 are back at 14:00, in 2h; defaults wait as long`."""
    if not done.cards:
        return "nothing to do"
    names = ", ".join(f"card {card.id}" for card in done.cards)
    if done.until is None:
        return f"waits for you again: {names}"
    waits = "; the default waits as long" if any(card.due is not None for card in done.cards) else ""
    return f"put aside until {moment(done.until)}, for {age(max(0, done.until - now))}: {names}{waits}"


def rule_line(rule: Rule) -> str:
    """What a rule says, in one line."""
    what = "any use" if rule.kind is CardKind.PERMISSION else "any"
    if rule.pattern != "*":
        what = f"`{clean_line(rule.pattern)}`"
    ends = "" if rule.expires_at is None else f", until {moment(rule.expires_at)}"
    return f"{rule_says(rule)} {clean_line(rule.tool)} {what} in {where(rule)}{ends}"


def rule_says(rule: Rule) -> str:
    """What a rule answers: `allow`, `deny`; of other cards than permissions `reroute codex:gpt`, `run`."""
    if rule.kind is CardKind.PERMISSION:
        return rule.effect
    return " ".join(filter(None, (rule.choice, clean_line(rule.words or ""))))


def past_line(past: Past) -> str:
    """What a rule would have decided of what was asked."""
    said = f"would have decided {past.matched}: as you did {past.agreed}, otherwise {past.against}"
    return f"{said}, where nobody answered {past.other}" if past.other else said


def where(rule: Rule) -> str:
    """Where a rule holds."""
    if rule.job is not None:
        return job_name(rule.job)
    where_ = clean_line(rule.project) if rule.project is not None else "every project"
    return f"{where_}, {clean_line(rule.job_kind)} jobs" if rule.job_kind is not None else where_


def choice_text(card: Card, choice: Choice) -> str:
    """What a choice means for a card, for the question before it."""
    tool = clean_line(card.tool)
    return f"allow every further {tool} of {job_name(card.job)}" if choice is Choice.JOB else f"{choice} {tool}"
