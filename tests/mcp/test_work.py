"""What a job that an agent submits may do: never more than its parent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from engine.agents.registry import agents
from engine.config import AgentSettings, McpSettings, ProjectSettings, RouteSettings, Settings
from engine.errors import RefusedError
from engine.mcp.caller import Caller
from engine.mcp.tools import SubmitJob
from engine.mcp.work import Work
from engine.model import JobSpec, Permission, Tool, Workspace

ASK, PRESET, BYPASS = Permission.ASK, Permission.PRESET, Permission.BYPASS


def child(settings: Settings, own: JobSpec, given: SubmitJob, agent: str = "claude") -> JobSpec:
    """What becomes of a submission."""
    attempt = SimpleNamespace(agent=agent, account="work")
    job = SimpleNamespace(project="/p", priority=own.priority, model="opus", id=1)
    claim = SimpleNamespace(attempt=attempt, job=job, spec=own)
    caller = cast(Caller, SimpleNamespace(grant=SimpleNamespace(claim=claim)))
    nothing = cast(Any, None)
    return Work(nothing, nothing, settings, agents(), nothing, nothing)._spec(caller, given)


def project(**more: object) -> Settings:
    return Settings(projects={"p": ProjectSettings(path="/p", **more)})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "own", "agent", "permission"),
    [
        (Settings(), None, "codex", None),
        (Settings(), ASK, "claude", ASK),
        (Settings(agents={"claude": AgentSettings(permission=ASK)}), None, "claude", ASK),
        (project(permission=ASK), None, "claude", ASK),
        (project(permission=BYPASS, allow_bypass=True), None, "codex", None),
        (project(permission=BYPASS, allow_bypass=True), PRESET, "codex", PRESET),
        (project(permission=BYPASS, allow_bypass=True), PRESET, None, PRESET),
        (project(allow_bypass=True), None, "codex", PRESET),
        (project(allow_bypass=True), BYPASS, "codex", None),
    ],
)
def test_its_permission_is_no_more_than_its_parents(
    settings: Settings, own: Permission | None, agent: str | None, permission: Permission | None
) -> None:
    given = SubmitJob(prompt="p", agent=agent, route=None if agent else "large")
    assert child(settings, JobSpec(prompt="q", permission=own), given).permission is permission


def test_who_asks_submits_for_nobody_who_cannot() -> None:
    with pytest.raises(RefusedError, match="codex could not"):
        child(Settings(), JobSpec(prompt="q", permission=ASK), SubmitJob(prompt="p", agent="codex"))


def test_it_is_bounded_as_its_parent_is() -> None:
    own = JobSpec(
        prompt="q", tags=["gpu"], priority=7, budget="$2", workspace=Workspace.WORKTREE, mcp=[Tool.RECALL], memory="1G"
    )
    same = child(Settings(), own, SubmitJob(prompt="do\x1b[2J it", title="a\nb"))
    assert (same.prompt, same.title, same.project) == ("do it", "a b", "/p")
    assert (same.agent, same.model, same.account) == ("claude", "opus", "work")
    assert (same.tags, same.priority, same.budget, same.workspace) == (["gpu"], 7, "$2", Workspace.WORKTREE)
    assert (same.mcp, same.memory) == ([Tool.RECALL], "1G")
    other = child(Settings(), own, SubmitJob(prompt="p", agent="codex"))
    assert (other.agent, other.model, other.account) == ("codex", None, None)


@pytest.mark.parametrize(
    ("settings", "agent"), [(Settings(), "shell"), (Settings(mcp=McpSettings(agents=[])), "claude")]
)
def test_it_runs_on_those_that_it_may(settings: Settings, agent: str) -> None:
    with pytest.raises(RefusedError, match="may not submit"):
        child(settings, JobSpec(prompt="q"), SubmitJob(prompt="p", agent=agent))


@pytest.mark.parametrize("targets", [["shell"], ["claude", "shell"]])
def test_no_route_leads_it_to_those_that_it_may_not(targets: list[str]) -> None:
    """Nor in its second place: a move there would run the agent's words as a command."""
    routes = {"large": RouteSettings(targets=["claude"], then="any"), "any": RouteSettings(targets=[*targets])}
    settings = Settings(routes=routes)
    with pytest.raises(RefusedError, match="by route 'large' for 'shell'"):
        child(settings, JobSpec(prompt="q"), SubmitJob(prompt="p", route="large"))
