"""Which skills fit a job, by the words of both. Deterministic and explained: no model is asked. Pure.

A word weighs what it tells apart: one that stands in many skills tells little. What stands in a skill's name or among
its tags weighs more than what stands in its description. A job whose tag is a skill's name, or one of its tags, has
asked for it in a word.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from engine.skills.skill import Skill

NAME_WEIGHT = 3.0
TAG_WEIGHT = 2.0
WHOLE_NAME = 12.0  #: the job's text has the name of the skill in it, or a tag of the job is one
JOB_TAG = 8.0  #: a tag of the job is one of the skill's
THRESHOLD = 7.0  #: below it a skill and a job have only everyday words in common: see tests/skills/test_matching.py
SHARE = 0.6  #: of the best score that another one needs: what follows far behind is noise
SHORT_WORD = 4  #: characters: `api` and `ci` stand in every other task
TEXT_LIMIT = 20_000  #: characters of a job's text that are looked at

_WORD = re.compile(r"[a-z0-9]+")
_ENDINGS = ("ations", "ation", "ingly", "ities", "ings", "ing", "ies", "ied", "ers", "ed", "es", "er", "ly", "s", "e")
#: Words that say nothing of a subject, and those with which all descriptions are written.
_STOP = frozenset(
    """
    a about after again all also an and another any are as ask asked at be because been before being between but
    by can could do does done each every exact few file files find first fix for from get give given go had has
    have help here how i if in into is it its just keep let like list make many may me more most much must my
    need needs new next no not now of off on once one only or other our out over please put run same see set
    should so some someone something still such take than that the their them then there these they this those
    thing through to too two under until up us use used using very want was way we were what when where which
    while who why will with within without work works would write you your job jobs step steps show tell try
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Text:
    """What is known of a job when its skills are chosen."""

    words: str
    """Title and prompt."""
    tags: tuple[str, ...] = ()
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """A skill that fits, and why."""

    name: str
    score: float
    reason: str


def rank(text: Text, skills: Sequence[Skill]) -> list[Match]:
    """The skills that fit, the best first; equal ones by name. Broken ones are not among them."""
    usable = [one for one in skills if one.problem is None]
    weights = {one.name: _weights(one) for one in usable}
    spread = Counter(word for words in weights.values() for word in words)
    said = text.words[:TEXT_LIMIT].lower()
    mine = set(_stems(said)) | set(_stems(text.kind or ""))
    phrase = f"-{'-'.join(_WORD.findall(said))}-"
    asked = {tag.lower() for tag in (*text.tags, *([text.kind] if text.kind else []))}
    found = []
    for skill in usable:
        match = _match(skill, weights[skill.name], spread, len(usable), mine, phrase, asked)
        if match.score >= THRESHOLD:
            found.append(match)
    found.sort(key=lambda one: (-one.score, one.name))
    return [one for one in found if one.score >= SHARE * found[0].score]


def _match(
    skill: Skill,
    weights: Mapping[str, float],
    spread: Mapping[str, int],
    count: int,
    mine: set[str],
    phrase: str,
    asked: set[str],
) -> Match:
    shared = {word: weight * math.log(1 + count / spread[word]) for word, weight in weights.items() if word in mine}
    telling = len(shared) > 1 or any(_names(word, weights, spread) for word in shared)
    score = sum(shared.values()) if telling else 0.0
    reasons = []
    if skill.name in asked:
        score += WHOLE_NAME
        reasons.append(f"the job's tag {skill.name!r} names it")
    elif f"-{skill.name}-" in phrase and "-" in skill.name:
        score += WHOLE_NAME
        reasons.append("the task names it")
    if tags := sorted(asked & set(skill.tags)):
        score += JOB_TAG
        reasons.append(f"the job's tag {tags[0]!r} is one of its tags")
    if telling:
        best = sorted(shared, key=lambda word: (-shared[word], word))[:4]
        reasons.append(f"the task and its description share {', '.join(best)}")
    return Match(skill.name, round(score, 2), "; ".join(reasons))


def _names(word: str, weights: Mapping[str, float], spread: Mapping[str, int]) -> bool:
    """Whether one word is enough: it is of this skill's name and no other skill has it. Short ones mean too much."""
    return weights[word] == NAME_WEIGHT and spread[word] == 1 and len(word) > SHORT_WORD


def _weights(skill: Skill) -> dict[str, float]:
    """Each word of a skill, by the weightiest place where it stands."""
    found = dict.fromkeys(_stems(skill.description), 1.0)
    found |= dict.fromkeys(_stems(" ".join(skill.tags)), TAG_WEIGHT)
    found |= dict.fromkeys(_stems(skill.name), NAME_WEIGHT)
    return found


def _stems(text: str) -> Iterable[str]:
    return (_stem(word) for word in _WORD.findall(text.lower()) if word not in _STOP and len(word) > 1)


def _stem(word: str) -> str:
    """Near enough that `migrations` meets `migration`, and `failing` `failure` does not."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
