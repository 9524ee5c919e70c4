"""The gates of the settings, resolved, and which of them a job has. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from engine.agents.base import Agent
from engine.config import EvidenceSettings, GateSettings, Settings
from engine.dispatch.privacy import Privacy
from engine.gate import evidence, families
from engine.gate.checks import Check
from engine.model import NO_GATE, GateCheck, GateLine, JobSpec, Target
from engine.units import milliseconds


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate, with every default filled in."""

    name: str
    checks: tuple[Check, ...] = ()
    evidence: EvidenceSettings = field(default_factory=EvidenceSettings)
    reviewers: tuple[Target, ...] = ()
    others: int = 0
    """So many more, of other families than the writer's."""
    quorum: int = 0
    judge: Target | None = None
    rounds: int = 3
    review_ms: int = 1_200_000
    missing: bool = False
    """headway.yaml does not have it any more."""

    @classmethod
    def of(cls, name: str, said: GateSettings) -> Gate:
        return cls(
            name,
            tuple(Check(one.run, milliseconds(one.timeout) / 1000) for one in said.commands),
            said.evidence,
            tuple(map(Target.parse, said.named)),
            said.reviewers if isinstance(said.reviewers, int) else 0,
            said.quorum or said.asked,
            Target.parse(said.judge) if said.judge is not None else None,
            said.rounds,
            milliseconds(said.review_timeout),
        )

    @property
    def digest(self) -> bytes:
        """What it asks for: with the same, and the same work, an earlier look counts again."""
        return msgspec.json.encode(self)


@dataclass(frozen=True, slots=True)
class Gatebook:
    """All gates, and what decides which one is a job's."""

    gates: Mapping[str, Gate] = field(default_factory=dict)
    projects: Mapping[str | None, str] = field(default_factory=dict)
    """By directory."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    talk: frozenset[str] = frozenset()
    """Agents that are told in words what to do and have effects: only their jobs have the gate of a project or kind."""
    known: tuple[Target, ...] = ()
    """Those who may be chosen to review, the best first."""
    privacy: Privacy = field(default_factory=Privacy)

    @classmethod
    def of(cls, settings: Settings, agents: Mapping[str, Agent], privacy: Privacy) -> Gatebook:
        gates = {name: Gate.of(name, one) for name, one in settings.gates.items()}
        projects: dict[str | None, str] = {
            one.directory: one.gate for one in settings.projects.values() if one.gate is not None
        }
        kinds = {kind: name for name, one in settings.gates.items() for kind in one.kinds}
        talk = frozenset(name for name, one in agents.items() if one.effects and (one.resumable or one.converses))
        return cls(gates, projects, kinds, talk, _known(settings, agents), privacy)

    def named(self, spec: JobSpec, project: str | None, agent: str) -> tuple[str | None, str]:
        """The name of a job's gate, and why it is that one."""
        if spec.gate is not None:
            return (None, "it says that it has none") if spec.gate == NO_GATE else (spec.gate, "it names it")
        if agent not in self.talk:
            return None, f"a job of {agent} has only a gate that it names itself"
        if (name := self.projects.get(project)) is not None:
            return (None, "its project says so") if name == NO_GATE else (name, "it is its project's")
        if spec.kind is not None and (name := self.kinds.get(spec.kind)) is not None:
            return name, f"it is that of the kind {spec.kind!r}"
        return None, "neither it, nor its project, nor its kind names one"

    def gate(self, spec: JobSpec, project: str | None, agent: str) -> Gate | None:
        """A job's gate. One that headway.yaml does not have any more is passed by nobody."""
        if not self.gates and spec.gate is None:
            return None
        name, _ = self.named(spec, project, agent)
        return None if name is None else self.gates.get(name, Gate(name, missing=True))

    def reviewers(self, gate: Gate, writer: Target, project: str | None) -> list[Target]:
        """Who reads the work of a writer: those named, and those that are chosen."""
        named = list(gate.reviewers)
        free = [one for one in self.known if not self.privacy.barred(one, project)]
        return [*named, *families.others(writer, free, gate.others, named)]

    def lines(self, names: Mapping[str, str]) -> list[GateLine]:
        """The gates as they are listed. `names`: of projects, by directory."""
        return [self.line(one, names) for one in self.gates.values()]

    def line(self, gate: Gate, names: Mapping[str, str]) -> GateLine:
        chosen = [f"{gate.others} of another family"] if gate.others else []
        return GateLine(
            name=gate.name,
            kinds=[kind for kind, name in self.kinds.items() if name == gate.name],
            projects=[names.get(at or "", at or "") for at, name in self.projects.items() if name == gate.name],
            checks=[GateCheck(command=one.command, seconds=one.seconds) for one in gate.checks],
            evidence=evidence.asked(gate.evidence),
            reviewers=[*map(str, gate.reviewers), *chosen],
            quorum=gate.quorum,
            judge=str(gate.judge) if gate.judge is not None else None,
            rounds=gate.rounds,
        )


NOTHING = Gatebook()


def _known(settings: Settings, agents: Mapping[str, Agent]) -> tuple[Target, ...]:
    """Targets that the settings name: those of routes, of accounts, and of agents, in this order."""
    found = [Target.parse(one.target) for route in settings.routes.values() for one in route.named]
    found += [Target(one.agent, settings.agent(one.agent).model, name) for name, one in settings.accounts.items()]
    found += [Target(name, one.model, None) for name, one in settings.agents.items()]
    return tuple(dict.fromkeys(one for one in found if one.agent in agents and agents[one.agent].provider))
