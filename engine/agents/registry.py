"""The agents that exist, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec.structs import replace

from engine.agents import logins, tapping
from engine.agents.acp import Acp
from engine.agents.base import Agent
from engine.agents.claude import Claude
from engine.agents.codex import Codex
from engine.agents.gemini import Gemini
from engine.agents.llm.agent import Llm
from engine.agents.opencode import Opencode
from engine.agents.rehearsal import Rehearsal
from engine.agents.shell import Shell
from engine.config import AgentSettings, Settings, load_settings
from engine.documents import Complaint, Keys
from engine.errors import SettingError, UsageError
from engine.model import JobSpec, Target


def read_settings(path: Path | None) -> Settings:
    """The settings that an engine starts with, held against what each agent takes.

    Raises `DocumentError` with all that is wrong.
    """
    return load_settings(path, agents(), complaints)


def complaints(settings: Settings) -> Iterator[Complaint]:
    """What agents refuse of their settings, and of their accounts."""
    known = agents()
    for name, own in settings.agents.items():
        if name in known:
            yield from _of_agent(known[name], own)
    for name, account in settings.accounts.items():
        if account.agent in known:
            yield from logins.complaints(name, account)
            yield from tapping.complaints(name, account)
    for name, route in settings.routes.items():
        for place, said in enumerate(route.named):
            target = Target.parse(said.target)
            if target.agent in known and (why := _refused(known[target.agent], target, settings)):
                yield ("routes", name, "targets", place), f"{said.target}: {why}"


def _refused(agent: Agent, target: Target, settings: Settings) -> str:
    """Why no attempt could be started on a target; empty where one could."""
    own = settings.agent(agent.name)
    try:
        agent.accept(target.model or own.model, own, settings.accounts.get(target.account or ""))
    except UsageError as error:
        return error.message
    return ""


def _of_agent(agent: Agent, own: AgentSettings) -> Iterator[Complaint]:
    for key in ("system", "schema", "temperature", "max_tokens", "providers"):
        if not agent.answers and getattr(own, key):
            yield ("agents", agent.name, key), "only llm takes it; remove it"
    seen: set[Keys] = set()
    while True:
        try:
            agent.check(own)
        except SettingError as error:
            if error.keys in seen:
                return
            seen.add(error.keys)
            yield error.keys, error.why
            own = _without(own, *error.keys[2:])
        else:
            return


def _without(own: AgentSettings, key: str, *within: str) -> AgentSettings:
    """The settings without what was refused, so that the agent tells what else it refuses."""
    kept = {name: one for name, one in own.providers.items() if name != within[0]} if within else None
    return replace(own, **{key: getattr(AgentSettings(), key) if kept is None else kept})


def check_job(spec: JobSpec, agent: str, model: str | None, settings: Settings) -> None:
    """Hold what a job asks for against what its agent takes, raising `UsageError`."""
    known = agents().get(agent)
    if known is None:
        return
    for key in ("system", "schema"):
        if getattr(spec, key) is not None and not known.answers:
            raise UsageError(f"{agent} takes no {key}: leave it out, or ask llm")
    if spec.skills and not known.takes_skills:
        raise UsageError(f"{agent} takes no skills: leave them out, or choose an agent that is told in words")
    account = settings.accounts.get(spec.account) if spec.account is not None else None
    known.accept(model, settings.agent(agent), account)


def agents() -> Mapping[str, Agent]:
    """Every agent that Headway can run."""
    known = (Acp(), Claude(), Codex(), Gemini(), Llm(), Opencode(), Rehearsal(), Shell())
    return {agent.name: agent for agent in known}
