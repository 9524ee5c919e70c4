"""The skills of one job: those that were named, then those that match, within a number and a budget. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.skills.matching import Text, rank
from engine.skills.skill import Skill

MOST = 4  #: skills that match by themselves: more of them compete for the agent's attention
BUDGET = 12_000  #: tokens of all SKILL.md together; an agent that reads them by itself reads fewer


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for. `named`: names, each with who asks for it."""

    named: Sequence[tuple[str, str]] = ()
    match: bool = False
    most: int = MOST
    budget: int = BUDGET


@dataclass(frozen=True, slots=True)
class Chosen:
    """A skill, why it was chosen, and the score of one that matched."""

    skill: Skill
    reason: str
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and what was not: a name, why it was looked at, and why it was left out."""

    chosen: tuple[Chosen, ...] = ()
    left_out: tuple[tuple[Chosen, str], ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    """Names that no usable skill has, each with what is wrong."""


def choose(wish: Wish, text: Text, skills: Sequence[Skill]) -> Choice:
    """Named ones come first and are bounded by nothing; what matches takes the room that they leave."""
    usable = {one.name: one for one in skills if one.problem is None}
    broken = {one.name: one.problem for one in skills if one.problem is not None}
    chosen: dict[str, Chosen] = {}
    missing = []
    for name, who in wish.named:
        if name in chosen:
            continue
        if name in usable:
            chosen[name] = Chosen(usable[name], who)
        else:
            missing.append((name, broken.get(name) or "there is none of that name"))
    left_out: list[tuple[Chosen, str]] = []
    used, own = sum(one.skill.tokens for one in chosen.values()), 0
    for match in rank(text, skills) if wish.match else ():
        if match.name in chosen:
            continue
        one = Chosen(usable[match.name], match.reason, match.score)
        if own == wish.most:
            left_out.append((one, f"{wish.most} others match better"))
        elif used + one.skill.tokens > wish.budget:
            left_out.append((one, f"it would pass the budget of {wish.budget:,} tokens"))
        else:
            chosen[match.name] = one
            used += one.skill.tokens
            own += 1
    return Choice(tuple(chosen.values()), tuple(left_out), tuple(missing))
