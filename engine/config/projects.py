"""What headway.yaml says of projects, and of what agents may do in them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, field

from engine.config import checks
from engine.config.agents import Slots
from engine.config.mcp import Offer
from engine.config.merging import MergeSettings
from engine.config.sandbox import Sandbox
from engine.config.skills import ProjectSkills
from engine.decision import Effect
from engine.documents import Complaint, nearest
from engine.model import Permission, Workspace
from engine.paths import expanded

if TYPE_CHECKING:
    from engine.config.settings import Settings


class RuleSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A standing answer to requests for a tool. `engine.permission` says what it matches."""

    tool: Annotated[str, Meta(min_length=1)]
    pattern: Annotated[str, Meta(min_length=1)] = "*"
    effect: Effect = Effect.ALLOW
    project: str | None = None
    """A project's name in the settings, or a directory; unset is every one."""


class Permissions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What becomes of an agent's requests for permission."""

    timeout: str | int = "30m"
    """Unanswered so long, the default is taken; 0 is never."""
    default: Effect = Effect.DENY
    rules: list[RuleSettings] = field(default_factory=list)


class ProjectSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A named directory."""

    path: str
    workspace: Workspace = Workspace.WORKTREE
    share: Annotated[float, Meta(gt=0, le=1_000)] = 1.0
    """Its weight where several projects want the same slots."""
    max_running: Slots | None = None
    permission: Permission | None = None
    """Who decides whether agents that can ask may use a tool."""
    private: bool = False
    """Its jobs stay with `providers`; where there are none, on this machine."""
    providers: list[Annotated[str, Meta(min_length=1)]] = field(default_factory=list)
    """The only providers that its jobs may go to, such as `anthropic`; `local` is this machine. Unset: any."""
    allow_bypass: bool = False
    """Jobs of this project may run with `permission: bypass`: their agents can do anything on this machine."""
    skills: ProjectSkills = field(default_factory=ProjectSkills)
    sandbox: Sandbox | None = None
    """What its agents may see and write of this machine: before the agents' own word."""

    persona: str | None = None
    """Who agents are to be in its jobs, where a job does not say so."""
    branch: Annotated[str, Meta(min_length=1, max_length=250)] | None = None
    """What the work of its jobs is merged into. Unset: the branch that its checkout is on."""
    merge: MergeSettings = field(default_factory=MergeSettings)
    gate: str | None = None
    """The gate of its jobs, where they name none; `none` is none, whatever their kind has."""
    recall: bool | None = None
    """Whether its jobs are told what is known, where that differs from the agent's word."""
    mcp: Offer | None = None
    """The tools of Headway that its agents are given: all that the others allow, none, or these."""

    @property
    def directory(self) -> str:
        """Its path, with the `~` of somebody known replaced."""
        with contextlib.suppress(RuntimeError):
            return str(expanded(self.path))
        return self.path


def complaints(settings: Settings) -> Iterator[Complaint]:
    """What is wrong with projects, and with what agents may do in them."""
    for name, project in settings.projects.items():
        if project.permission is Permission.BYPASS and not project.allow_bypass:
            yield ("projects", name, "permission"), "bypass lets agents do anything; it also needs allow_bypass: true"
    yield from checks.spans(("permissions",), settings.permissions, "timeout")
    for place, rule in enumerate(settings.permissions.rules):
        if rule.project is not None and rule.project not in settings.projects and not rule.project.startswith("/"):
            hint = nearest(rule.project, settings.projects) if settings.projects else "give its directory"
            yield ("permissions", "rules", place, "project"), f"there is no project {rule.project!r}; {hint}"
