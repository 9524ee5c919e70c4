"""What rule like answers suggest, and what it would have decided. Pure: values in, values out.

A rule is never wider than what was seen: its tool, its project, its kind of job and its program are those of the
answers, and only a word that differed between them is left open, to one word. One that allows is not proposed where
anything that it covers was ever denied.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.decision import CardKind, Choice, Effect, Past, Rule
from engine.permission import WORD, Use, matches

SHOWN = 10  #: cards that a proposal names
LONGEST = 500  #: characters of a pattern
LOOKS = 50  #: different answers of one tool that are looked at for rules

#: Programs whose arguments are programs.
RUNNERS = frozenset({
    "sudo", "doas", "su", "env", "sh", "bash", "zsh", "dash", "ksh", "fish", "xargs", "nice", "nohup", "timeout",
    "setsid", "exec", "eval", "command", "time", "ssh",
})  # fmt: skip

#: Answers that may become a rule, by the kind of card. What costs money, or takes the operator's own words, is not
#: among them.
RULABLE: dict[CardKind, frozenset[Choice]] = {
    CardKind.PERMISSION: frozenset({Choice.ALLOW, Choice.DENY}),
    CardKind.CLARIFY: frozenset({Choice.RUN, Choice.CANCEL}),
    CardKind.ROUTE: frozenset({Choice.REROUTE, Choice.WAIT, Choice.STOP}),
    CardKind.BUDGET: frozenset({Choice.STOP}),
}

_EFFECTS = {
    Choice.ALLOW: Effect.ALLOW,
    Choice.JOB: Effect.ALLOW,
    Choice.RULE: Effect.ALLOW,
    Choice.DENY: Effect.DENY,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A card that has been answered."""

    card: int
    kind: CardKind
    use: Use
    choice: Choice
    words: str | None = None
    person: bool = True
    """The operator answered it: no rule did, and no time."""


def suggested(seen: Sequence[Seen], least: int, about: Seen | None = None) -> Rule | None:
    """The rule that answers like one of them suggest: the newest of the operator's, or `about`. The newest are first.

    None where there are fewer than `least` like answers, or where one rule for them would be too wide.
    """
    first = about or next((one for one in seen if one.person), None)
    if first is None or least < 1:
        return None
    if first.choice not in RULABLE.get(first.kind, frozenset()) or first.use.project is None:
        return None
    alike = [one for one in seen if _like(one, first)]
    others = [one for one in alike if not _same(one, first)]
    run = [one for one in alike if _same(one, first)]
    for pattern in _patterns(first.use, [one.use for one in run], least):
        rule = _rule(first, pattern, {one.use.job_kind for one in run})
        covered = [one for one in run if covers(rule, one)]
        denied = any(covers(rule, one) for one in others)
        if len(covered) >= least and not (denied and _weakens(rule)) and not _broken(rule, alike, least):
            return rule
    return None


def covers(rule: Rule, one: Seen) -> bool:
    """Whether a rule would have decided a card."""
    return rule.kind is one.kind and matches(rule, one.use)


def past(rule: Rule, seen: Iterable[Seen]) -> Past:
    """What a rule would have decided, the newest first."""
    found = [one for one in seen if covers(rule, one)]
    own = [one for one in found if one.person]
    agreed = sum(_agrees(rule, one) for one in own)
    return Past(
        matched=len(found),
        agreed=agreed,
        against=len(own) - agreed,
        other=len(found) - len(own),
        cards=tuple(one.card for one in own[:SHOWN]),
    )


def _like(one: Seen, other: Seen) -> bool:
    """Of one kind, tool and project, and answered by the operator."""
    return one.person and (one.kind, one.use.tool, one.use.project) == (other.kind, other.use.tool, other.use.project)


def _same(one: Seen, other: Seen) -> bool:
    return one.choice is other.choice and (one.choice is not Choice.REROUTE or one.words == other.words)


def _rule(first: Seen, pattern: str, kinds: set[str | None]) -> Rule:
    permission = first.kind is CardKind.PERMISSION
    return Rule(
        tool=first.use.tool,
        pattern=pattern,
        effect=_EFFECTS.get(first.choice, Effect.ALLOW) if permission else Effect.ALLOW,
        kind=first.kind,
        choice=None if permission else first.choice,
        words=first.words if first.choice is Choice.REROUTE else None,
        project=first.use.project,
        job_kind=next(iter(kinds)) if len(kinds) == 1 else None,
    )


def _agrees(rule: Rule, one: Seen) -> bool:
    if rule.kind is CardKind.PERMISSION:
        return _EFFECTS.get(one.choice) is rule.effect
    return one.choice is rule.choice and (rule.words is None or one.words == rule.words)


def _weakens(rule: Rule) -> bool:
    """Whether it lets something through that somebody has refused."""
    return rule.effect is Effect.ALLOW if rule.kind is CardKind.PERMISSION else True


def _broken(rule: Rule, alike: Sequence[Seen], least: int) -> bool:
    """Whether one of the newest answers that it covers was another one."""
    newest = [one for one in alike if covers(rule, one)][:least]
    return not all(_agrees(rule, one) for one in newest)


def all_suggested(seen: Sequence[Seen], least: int) -> list[Rule]:
    """All rules that answers suggest, each once. The newest are first."""
    firsts = {(one.use.subject, one.choice, one.words): one for one in reversed(seen) if one.person}
    found: dict[Rule, None] = {}
    for one in list(firsts.values())[::-1][:LOOKS]:
        if (rule := suggested(seen, least, one)) is not None:
            found[rule] = None
    return list(found)


def _patterns(about: Use, uses: Sequence[Use], least: int) -> list[str]:
    """What may stand for these uses, the narrowest first: one of them as it is, then with one word open."""
    first = about.subject
    if not first:
        return ["*"] if all(not one.subject for one in uses) else []
    exact = [first] if len(first) <= LONGEST and not set("*?") & set(first) and WORD not in first else []
    return [*exact, *_with_a_word_open(about, uses, least)]


def _with_a_word_open(about: Use, uses: Sequence[Use], least: int) -> list[str]:
    """Patterns with one part open that took at least so many values, among uses that are alike in all others."""
    shell = about.shell
    between = " " if shell else "/"
    first = about.subject.split(between)
    found = []
    for place in range(len(first) - 1, 0, -1):  # never the first: that is the program, or the folder
        values = {
            parts[place]
            for one in uses
            if len(parts := one.subject.split(between)) == len(first) and _but(parts, place) == _but(first, place)
        }
        folder = _folder(values) if shell else ""
        if shell and (first[0] in RUNNERS or (place == 1 and not folder)):
            continue  # that would leave open what is run, or what a program does
        pattern = between.join([*first[:place], f"{folder}{WORD}", *first[place + 1 :]])
        plain = not set("*?") & set(pattern) and len(pattern) <= LONGEST and pattern.count(WORD) == 1
        if len(values) >= least and plain:
            found.append(pattern)
    return found


def _but(parts: Sequence[str], place: int) -> list[str]:
    return [*parts[:place], *parts[place + 1 :]]


def _folder(values: Iterable[str]) -> str:
    """The folder that paths have in common, with its stroke."""
    folders = [value.split("/")[:-1] for value in values]
    common = []
    for names in zip(*folders, strict=False):
        if len(set(names)) != 1:
            break
        common.append(names[0])
    return "".join(f"{name}/" for name in common)
