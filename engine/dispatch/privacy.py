"""Which projects' jobs may go to which providers. Pure.

It is looked at wherever a target is chosen: at a submission, at a reroute, by a route, and again before each start, as
the settings may have changed since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.agents.addresses import provider_at
from engine.agents.base import LOCAL, Agent
from engine.agents.tapping import said_upstream
from engine.config import ProjectSettings, Settings
from engine.model import Target


@dataclass(frozen=True, slots=True)
class Kept:
    """A project whose jobs stay with some providers."""

    name: str
    providers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Privacy:
    """What the settings say of where jobs may go."""

    projects: Mapping[str | None, Kept] = field(default_factory=dict)
    """By directory; only those that are kept."""
    settings: Settings = field(default_factory=Settings)
    agents: Mapping[str, Agent] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    """The engine's own, of which agents are passed on some variables."""

    @classmethod
    def of(cls, settings: Settings, agents: Mapping[str, Agent], environ: Mapping[str, str]) -> Privacy:
        kept: dict[str | None, Kept] = {
            one.directory: _kept(name, one) for name, one in settings.projects.items() if _is_kept(one)
        }
        return cls(kept, settings, agents, environ)

    def keeps(self, project: str | None) -> bool:
        """Whether jobs in a directory may not go everywhere."""
        return project in self.projects

    def provider(self, target: Target) -> str | None:
        """Whose servers an attempt on a target tells of its job; None where that cannot be known."""
        agent = self.agents.get(target.agent)
        if agent is None:
            return None
        own = self.settings.agent(agent.name)
        account = self.settings.accounts.get(target.account or "")
        if account is not None and (upstream := said_upstream(account)) is not None:
            return provider_at(upstream, "")
        passed = (*agent.pass_env, *agent.addresses, *own.pass_env, *(account.pass_env if account else ()))
        env = {name: self.environ[name] for name in passed if name in self.environ}
        env |= own.env | (account.env if account else {})
        return agent.asks_whom(target.model, env, own)

    def barred(self, target: Target, project: str | None) -> str:
        """Why the jobs of a project may not go to a target; empty where they may."""
        kept = self.projects.get(project)
        if kept is None:
            return ""
        provider = self.provider(target)
        if provider in kept.providers or provider == LOCAL:
            return ""
        whose = f"is {provider}'s" if provider else "may ask anybody"
        stay = f"its jobs stay with {', '.join(kept.providers)}" if kept.providers else "its jobs stay on this machine"
        return f"{target} {whose}, and the project {kept.name} is private: {stay}"


def _is_kept(project: ProjectSettings) -> bool:
    return project.private or bool(project.providers)


def _kept(name: str, project: ProjectSettings) -> Kept:
    return Kept(name, tuple(one for one in project.providers if one != LOCAL))
