"""Which class a job is of, by rules that can be read, weighed and corrected. Pure.

Each rule looks at one thing and speaks for one class with its weight. A class stands where what speaks for it reaches
`ENOUGH` and no other comes within `MARGIN` of it. The operator's corrections change the weights of a project, never by
more than a known factor: of `n` corrections in which a rule had spoken, `a` of them in its favour, its weight is
multiplied by twice `(a + 1) / (n + 2)` (Laplace's rule of succession), kept between `LEAST` and `MOST`: 1 without any.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from engine.model import Fired, Judgement, RuleLine, Triage

ENOUGH = 2.0  #: what has to speak for a class
MARGIN = 0.5  #: by so much it has to stand out among those that do
HINT = 1.0  #: below it, nothing speaks for any class, and the rules are sure of that
LEAST, MOST = 0.25, 1.75  #: times what a rule weighs at first, however often it was corrected
LEARNT_MOST = 3.0  #: what the corrections of a kind of job can weigh by themselves
HABIT_MIN = 5  #: successes of a kind before its history says anything

READ = 16_384  #: characters of a prompt that are looked at; how long it is altogether is counted by its length
QUICK_MS, BIG_MS = 180_000, 1_800_000  #: what a kind of job typically takes, to be quick or big by experience
BIG_MICROS = 2_000_000  #: or what it typically costs

_EXTENSIONS = (
    "py|pyi|js|jsx|ts|tsx|mjs|vue|svelte|go|rs|java|kt|scala|swift|c|h|cc|cpp|hpp|cs|rb|php|lua|sh|bash|sql|r|jl|ex|exs|"
    "erl|hs|ml|md|rst|txt|adoc|html|css|scss|json|jsonl|ya?ml|toml|ini|cfg|conf|xml|csv|proto|tf|lock|tcss|ipynb"
)
_FILE = re.compile(rf"\w\.(?:{_EXTENSIONS})$", re.IGNORECASE)
_NAMED_FILES = frozenset({"Makefile", "Dockerfile", "Jenkinsfile", "README", "CHANGELOG", "LICENSE"})
_APART = re.compile(r"[\s,;:()\[\]{}<>\"'`|*]+")
_NAME_LENGTH = 200  #: characters of what can be a file's name
_STEP = re.compile(r"^[ \t]*(?:[-*•]|\d{1,2}[.)])\s+\S", re.MULTILINE)
_POINTS = re.compile(
    r"^\W*(?:please\s+)?(?:fix|change|improve|update|finish|do|redo|clean up|handle)\s+(?:this|it|that)\b"
)
_NUMBER = re.compile(r"#\d+|\b\d{3,}\b|`[^`]+`|\b\w+\(\)|\b\w+::\w+|\b[a-z]+_[a-z_]+\b|\b[a-z]+[A-Z]\w+")


def _words(*phrases: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(phrases)})\b", re.IGNORECASE)


_SMALL = _words(
    "typos?", "spelling", "rename", "reword", "bump", "format", "lint", "docstring", "comment out", "one[- ]liner?",
    "small(?:er)? (?:fix|change|edit)", "tiny", "trivial", "quick(?:ly)?", "whitespace", "add a comment",
    "sort the imports",
)  # fmt: skip
_LARGE = _words(
    "refactor(?:ing)?", "migrat(?:e|ion)", "rewrite", "redesign", "re-?architect", "architecture", "from scratch",
    "entire", "whole (?:code ?base|project|repo(?:sitory)?)", "all (?:of )?the (?:modules|files|tests|services)",
    "across the", "port (?:it|this|the|everything|all)", "end[- ]to[- ]end", "every (?:module|file|endpoint|screen)",
)  # fmt: skip
_VAGUE = _words(
    "somehow", "something like", "or something", "or whatever", "and so on", "you know what i mean", "as discussed",
    "as before", "like last time", "the usual", "make it (?:better|nicer|good|nice)", "stuff", "things? (?:are|is) off",
)  # fmt: skip
_OPEN = _words(
    "tbd", "to be decided", "to be defined", "should we", "do we want", "not sure (?:if|whether|how|what|which)",
    "which one\\?", "i (?:don't|do not) know (?:if|whether|how|what|which)", "let's decide", "open question",
)  # fmt: skip
_LATER = _words(
    "no hurry", "not urgent", "no rush", "whenever", "when idle", "low priority", "nice to have", "some ?day",
    "eventually", "overnight", "tonight", "over the weekend", "when there is time", "if there is time left", "backlog",
)  # fmt: skip
_LATER_TAGS = frozenset({"later", "backlog", "nightly", "overnight", "idle", "low", "someday"})


@dataclass(frozen=True, slots=True)
class Habit:
    """What jobs of a kind have typically taken so far."""

    count: int
    """Successes."""
    ms: int
    cost_micros: int | None = None


@dataclass(frozen=True)
class Facts:
    """What the rules look at."""

    prompt: str
    kind: str | None = None
    tags: frozenset[str] = frozenset()
    priority: int = 5
    project: str | None = None
    habit: Habit | None = None
    """Of its kind."""

    @cached_property
    def text(self) -> str:
        return self.prompt[:READ]

    @cached_property
    def words(self) -> int:
        """Of the whole prompt, counted in its beginning and told from its length beyond that."""
        counted = len(self.text.split())
        return counted if len(self.prompt) <= READ else counted * len(self.prompt) // READ

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Files that it names, each once."""
        words = (word.rstrip(".!?") for word in _APART.split(self.text) if len(word) <= _NAME_LENGTH)
        return tuple(dict.fromkeys(word for word in words if _FILE.search(word) or word in _NAMED_FILES))

    @cached_property
    def steps(self) -> int:
        """Lines of lists."""
        return len(_STEP.findall(self.text))

    @property
    def names_something(self) -> bool:
        """A file, a number, a piece of code: something that can be looked for."""
        return bool(self.files) or _NUMBER.search(self.text) is not None


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing to look at. `says`: why it speaks for its class; empty where it does not."""

    name: str
    triage: Triage
    weight: float
    about: str
    says: Callable[[Facts], str]


@dataclass(frozen=True, slots=True)
class Count:
    """Corrections in which a rule had spoken."""

    agreed: int = 0
    contradicted: int = 0


@dataclass(frozen=True, slots=True)
class Learnt:
    """What the operator's corrections in one project come to."""

    rules: Mapping[str, Count] = field(default_factory=dict)
    """By the rule's name."""
    kinds: Mapping[str, Mapping[Triage | None, int]] = field(default_factory=dict)
    """How often jobs of a kind were said to be of each class, or of none."""


NOTHING_LEARNT = Learnt()


def judge(facts: Facts, learnt: Learnt = NOTHING_LEARNT) -> Judgement:
    """The class of a job, with everything that spoke."""
    fired = [
        Fired(rule=rule.name, triage=rule.triage, weight=weight(rule, learnt), why=why)
        for rule in RULES
        if (why := rule.says(facts))
    ]
    fired += _by_kind(facts.kind, learnt)
    scores: dict[Triage, float] = {}
    for one in fired:
        scores[one.triage] = scores.get(one.triage, 0.0) + one.weight
    scores = {name: round(score, 3) for name, score in sorted(scores.items(), key=lambda item: (-item[1], item[0]))}
    ranked = [*scores.items(), (None, 0.0), (None, 0.0)]
    (best, score), (_, second) = ranked[0], ranked[1]
    stands = score >= ENOUGH and score - second >= MARGIN
    return Judgement(triage=best if stands else None, sure=stands or score < HINT, fired=fired, scores=scores)


def weight(rule: Rule, learnt: Learnt) -> float:
    """What a rule weighs in a project by now."""
    return round(rule.weight * factor(learnt.rules.get(rule.name, Count())), 3)


def factor(count: Count) -> float:
    """What corrections make of a weight: 1 without any, and bounded."""
    share = (count.agreed + 1) / (count.agreed + count.contradicted + 2)
    return max(LEAST, min(MOST, 2 * share))


def _by_kind(kind: str | None, learnt: Learnt) -> list[Fired]:
    """What was said of jobs of its kind before speaks for itself: more, the more often it was said."""
    said = learnt.kinds.get(kind, {}) if kind is not None else {}
    total, even = sum(said.values()), 1 / (len(Triage) + 1)
    fired = []
    for triage, count in said.items():
        share = (count + 1) / (total + len(Triage) + 1)
        if triage is not None and share > even:
            speaks = round(LEARNT_MOST * (share - even) / (1 - even), 3)
            why = f"you said so of {count} of {total} jobs of the kind {kind}"
            fired.append(Fired(rule="corrected_kind", triage=triage, weight=speaks, why=why))
    return fired


def outcome_for(judgement: Judgement, said: Triage | None) -> tuple[list[str], list[str]]:
    """Which rules a correction agrees with, and which it contradicts, each once."""
    names = {one.rule: one.triage for one in judgement.fired if one.rule in _BY_NAME}
    agreed = [name for name, triage in names.items() if triage is said]
    return agreed, [name for name, triage in names.items() if triage is not said]


def lines(learnt: Learnt) -> list[RuleLine]:
    """All rules as they stand."""
    return [
        RuleLine(
            rule=rule.name,
            triage=rule.triage,
            about=rule.about,
            weight=rule.weight,
            agreed=(count := learnt.rules.get(rule.name, Count())).agreed,
            contradicted=count.contradicted,
            now=weight(rule, learnt),
        )
        for rule in RULES
    ]


def _found(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return f"it says {found[0].lower()!r}" if found else ""


def _several(pattern: re.Pattern[str], text: str) -> str:
    found = dict.fromkeys(one[0].lower() for one in pattern.finditer(text))
    return f"it says {', '.join(map(repr, [*found][:3]))}" if len(found) >= 2 else ""


def _tag(*names: str) -> Callable[[Facts], str]:
    return lambda facts: next((f"it has the tag {one}" for one in names if one in facts.tags), "")


def _habit_quick(facts: Facts) -> str:
    habit = facts.habit
    if habit is None or habit.count < HABIT_MIN or habit.ms > QUICK_MS:
        return ""
    return f"{habit.count} jobs of the kind {facts.kind} took about {habit.ms // 1000} s"


def _habit_big(facts: Facts) -> str:
    habit = facts.habit
    if habit is None or habit.count < HABIT_MIN:
        return ""
    if habit.ms >= BIG_MS:
        return f"{habit.count} jobs of the kind {facts.kind} took about {habit.ms // 60_000} min"
    if habit.cost_micros is not None and habit.cost_micros >= BIG_MICROS:
        return f"{habit.count} jobs of the kind {facts.kind} cost about ${habit.cost_micros / 1e6:.2f}"
    return ""


RULES: Sequence[Rule] = (
    Rule("short", Triage.QUICK, 1.0, "5 to 30 words that name a file or a thing",
         lambda f: f"{f.words} words" if 5 <= f.words <= 30 and f.names_something else ""),
    Rule("small_words", Triage.QUICK, 1.5, "words of small work: typo, rename, bump",
         lambda f: _found(_SMALL, f.text) if f.words <= 120 else ""),
    Rule("one_file", Triage.QUICK, 0.5, "names just one file",
         lambda f: f"it names {f.files[0]} alone" if len(f.files) == 1 and f.words <= 120 else ""),
    Rule("quick_kind", Triage.QUICK, 1.5, "its kind has taken three minutes or less", _habit_quick),
    Rule("quick_tag", Triage.QUICK, 3.0, "the tag quick", _tag("quick")),
    Rule("long", Triage.BIG, 1.0, "400 words or more", lambda f: f"{f.words} words" if f.words >= 400 else ""),
    Rule("very_long", Triage.BIG, 1.0, "1,500 words or more",
         lambda f: f"{f.words} words" if f.words >= 1_500 else ""),
    Rule("large_words", Triage.BIG, 1.5, "words of large work: refactor, migrate, across the",
         lambda f: _found(_LARGE, f.text)),
    Rule("larger_words", Triage.BIG, 1.0, "two or more of those words",
         lambda f: _several(_LARGE, f.text)),
    Rule("many_files", Triage.BIG, 1.0, "names five files or more",
         lambda f: f"it names {len(f.files)} files" if len(f.files) >= 5 else ""),
    Rule("many_steps", Triage.BIG, 1.0, "a list of five points or more",
         lambda f: f"a list of {f.steps} points" if f.steps >= 5 else ""),
    Rule("big_kind", Triage.BIG, 1.5, "its kind has taken half an hour, or two dollars", _habit_big),
    Rule("big_tag", Triage.BIG, 3.0, "the tag big", _tag("big")),
    Rule("no_object", Triage.CLARIFY, 1.5, "three words or fewer that name nothing",
         lambda f: f"{f.words} words that name nothing" if f.words <= 3 and not f.names_something else ""),
    Rule("points", Triage.CLARIFY, 1.5, "begins with `fix this` and names nothing",
         lambda f: "it points at something that it does not name"
         if _POINTS.search(f.text.lower()) and not f.names_something else ""),
    Rule("vague_words", Triage.CLARIFY, 1.5, "vague words: somehow, as discussed, the usual",
         lambda f: _found(_VAGUE, f.text)),
    Rule("open_points", Triage.CLARIFY, 1.5, "open points: TBD, should we, not sure whether",
         lambda f: _found(_OPEN, f.text)),
    Rule("later_words", Triage.DEFER, 2.0, "words of patience: no hurry, overnight", lambda f: _found(_LATER, f.text)),
    Rule("later_tag", Triage.DEFER, 3.0, "a tag such as later, backlog, nightly", _tag(*sorted(_LATER_TAGS))),
    Rule("last_priority", Triage.DEFER, 1.0, "a priority of 8 or 9",
         lambda f: f"its priority is {f.priority}" if f.priority >= 8 else ""),
)  # fmt: skip

_BY_NAME = {rule.name: rule for rule in RULES}
