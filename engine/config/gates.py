"""What headway.yaml says of gates: what must hold before a job is done."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, field

from engine.config import checks as spans_of
from engine.documents import Complaint, Keys, nearest
from engine.model import TAG, Target
from engine.model.gate import NO_GATE
from engine.model.race import MOST_CHECKS
from engine.units import milliseconds

if TYPE_CHECKING:
    from engine.config.settings import Settings

MOST_REVIEWERS = 8  #: of one look: each is a job of its own
MOST_ROUNDS = 20

Text = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=1, le=10_000_000)]


class CheckSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A command that has to exit with 0 in the workspace."""

    run: Text
    timeout: str | int = "10m"
    """What lasts longer has failed."""


class EvidenceSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What has to be seen in the workspace and in what was changed there."""

    changed: bool = True
    """Something was changed at all."""
    tests: bool = True
    """No test was deleted, skipped or weakened."""
    files: list[Text] = field(default_factory=list)
    """Paths or patterns, from the top of the workspace, of which each has to be there."""
    paths: list[Text] = field(default_factory=list)
    """Patterns such as `src/**`: nothing else may have changed. Unset: anything may."""
    most_files: Count | None = None
    most_lines: Count | None = None
    """Added and removed together."""


class GateSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A gate. It is a job's by the job's own word, by its project's, or by its kind."""

    kinds: list[Text] = field(default_factory=list)
    """Jobs of these kinds have it, where neither the job nor its project names one."""
    checks: Annotated[list[Text | CheckSettings], Meta(max_length=MOST_CHECKS)] = field(default_factory=list)
    evidence: EvidenceSettings = field(default_factory=EvidenceSettings)
    reviewers: Annotated[int, Meta(ge=0, le=MOST_REVIEWERS)] | list[Text] = 0
    """Targets; or how many, which are then chosen of other model families than the writer's."""
    quorum: Annotated[int, Meta(ge=1, le=MOST_REVIEWERS)] | None = None
    """So many have to approve. Unset: all."""
    judge: Text | None = None
    """A target that has the last word where reviewers differ."""
    rounds: Annotated[int, Meta(ge=1, le=MOST_ROUNDS)] = 3
    """Looks at most, before the operator is asked."""
    review_timeout: str | int = "20m"
    """What one attempt of a reviewer or a judge may take."""

    @property
    def commands(self) -> list[CheckSettings]:
        return [CheckSettings(run=one) if isinstance(one, str) else one for one in self.checks]

    @property
    def named(self) -> list[str]:
        """The reviewers that are named."""
        return [] if isinstance(self.reviewers, int) else self.reviewers

    @property
    def asked(self) -> int:
        """How many reviewers there are."""
        return self.reviewers if isinstance(self.reviewers, int) else len(self.reviewers)


def complaints(settings: Settings, agents: Collection[str]) -> Iterator[Complaint]:
    """What is wrong with gates, and with the names of gates."""
    kinds: dict[str, str] = {}
    for name, gate in settings.gates.items():
        at: Keys = ("gates", name)
        if name == NO_GATE or not re.fullmatch(TAG, name):
            yield at, f"a name is made of letters, digits and . _ / -, and {NO_GATE!r} means that there is none"
        yield from _checks(at, gate)
        yield from _people(at, gate, settings, agents)
        for kind in gate.kinds:
            if kinds.setdefault(kind, name) != name:
                yield (*at, "kinds"), f"jobs of the kind {kind!r} have the gate {kinds[kind]!r} already"
    for name, project in settings.projects.items():
        if (wrong := unknown(project.gate, settings.gates)) is not None:
            yield ("projects", name, "gate"), wrong


def unknown(name: str | None, gates: Collection[str]) -> str | None:
    """What is wrong with the name of a gate; None where nothing is."""
    if name is None or name == NO_GATE or name in gates:
        return None
    hint = nearest(name, [*gates, NO_GATE]) if gates else "headway.yaml names none, under gates:"
    return f"there is no gate {name!r}; {hint}"


def _checks(at: Keys, gate: GateSettings) -> Iterator[Complaint]:
    for place, one in enumerate(gate.commands):
        yield from spans_of.spans((*at, "checks", place), one, "timeout")
        if _is_nothing(one.timeout):
            yield (*at, "checks", place, "timeout"), "it is 0, so that nothing could run"
    yield from spans_of.spans(at, gate, "review_timeout")
    if _is_nothing(gate.review_timeout):
        yield (*at, "review_timeout"), "it is 0, so that nobody could read anything"
    for name in ("files", "paths"):
        for place, path in enumerate(getattr(gate.evidence, name)):
            if path.startswith(("/", "~")) or ".." in path.split("/"):
                yield (*at, "evidence", name, place), f"{path!r} leads out of the workspace; write it from its top"


def _is_nothing(span: str | int) -> bool:
    try:
        return not milliseconds(span)
    except ValueError:
        return False  # that is another complaint


def _people(at: Keys, gate: GateSettings, settings: Settings, agents: Collection[str]) -> Iterator[Complaint]:
    for place, one in enumerate(gate.named):
        yield from _target((*at, "reviewers", place), one, settings, agents)
    if len(gate.named) > MOST_REVIEWERS:
        yield (*at, "reviewers"), f"there are {len(gate.named)} of them, and may be {MOST_REVIEWERS}"
    if gate.quorum is not None and gate.quorum > gate.asked:
        there = f"only {gate.asked}" if gate.asked else "none"
        yield (*at, "quorum"), f"{gate.quorum} reviewers should approve, and there are {there}; see reviewers:"
    if gate.judge is not None:
        yield from _target((*at, "judge"), gate.judge, settings, agents)
        if gate.asked < 2:
            yield (*at, "judge"), "a judge is asked where reviewers differ, and there are no two of them"


def _target(keys: Keys, text: str, settings: Settings, agents: Collection[str]) -> Iterator[Complaint]:
    target = Target.parse(text)
    if target.agent not in agents:
        yield keys, f"{text}: there is no agent {target.agent!r}; {nearest(target.agent, agents)}"
    elif target.agent == "shell":
        yield keys, f"{text}: shell runs command lines and reads nothing; put a command under checks:"
    elif target.account is not None:
        known = [name for name, account in settings.accounts.items() if account.agent == target.agent]
        if target.account not in known:
            hint = nearest(target.account, known) if known else "accounts: names none for it"
            yield keys, f"{text}: {target.agent} has no account {target.account!r}; {hint}"
