"""One entry of a submission: each of its fields, checked and understood."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path

from msgspec.structs import replace

from engine.agents.registry import check_job
from engine.budgets import Amount
from engine.config import Settings
from engine.config.gates import unknown
from engine.context.skills import Known
from engine.documents import nearest
from engine.errors import RefusedError, UsageError
from engine.model import JobSpec, Workspace
from engine.permission import chosen
from engine.plain import plain_line
from engine.units import milliseconds, size

TITLE_LENGTH = 80  #: characters of a title made from a prompt
PROMPT_LIMIT = 4 << 20  #: bytes of one prompt: past this no model reads it, and the log would carry it for ever
_DELAY = re.compile(r"\d+(?:\.\d+)?\s*(ms|s|m|h|d|w)")
_YEAR_10000_MS = 253_402_300_800_000  #: dates end before it


class WrongError(UsageError):
    """A field is wrong: which, and why."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(what)
        self.key = key


def check_base(spec: JobSpec, project: str | None) -> None:
    if spec.base is not None and (project is None or spec.workspace is Workspace.PROJECT):
        raise WrongError("base", "only the worktree of a project begins at a commit")


def check_gate(spec: JobSpec, settings: Settings) -> None:
    if (wrong := unknown(spec.gate, settings.gates)) is not None:
        raise WrongError("gate", wrong)


def agent_of(spec: JobSpec, settings: Settings, agents: Collection[str]) -> str:
    agent = spec.agent or settings.default_agent
    if agent not in agents:
        raise WrongError("agent", f"there is no agent {agent!r}; {nearest(agent, agents)}")
    return agent


def deadline_of(spec: JobSpec, now: int) -> int | None:
    deadline = time_of("deadline", spec.deadline, now)
    if spec.deadline is not None and deadline is None:
        raise WrongError("deadline", f"{spec.deadline!r} is over already")
    return deadline


def checked_account(agent: str, account: str | None, settings: Settings) -> str | None:
    """An account that exists and is the agent's. Raises `UsageError`."""
    if account is None:
        return None
    known = [name for name, one in settings.accounts.items() if one.agent == agent]
    if account not in known:
        hint = nearest(account, known) if known else "headway.yaml names none for it, under accounts:"
        raise WrongError("account", f"{agent} has no account {account!r}; {hint}")
    return account


def check_agent(spec: JobSpec, agent: str, model: str | None, settings: Settings) -> None:
    """What only the agent can say of a job."""
    try:
        check_job(spec, agent, model, settings)
    except UsageError as error:
        raise WrongError("agent", error.message) from None


def check_permission(spec: JobSpec, agent: str, project: str | None, settings: Settings) -> None:
    try:
        chosen(spec.permission, agent, project, settings)
    except RefusedError as error:
        raise WrongError("permission", error.message.removeprefix("permission: ")) from None


def check_skills(spec: JobSpec, project: str | None, known: Known) -> None:
    try:
        known.check(spec, project)
    except UsageError as error:
        raise WrongError("skills", error.message) from None


MEASURES: tuple[tuple[str, Callable[[str | int], int]], ...] = (
    ("timeout", milliseconds),
    ("stall", milliseconds),
    ("memory", size),
    ("budget", lambda value: Amount.parse(value).value),
)


def check_measure(key: str, value: str | int | None, read: Callable[[str | int], int]) -> None:
    try:
        amount = None if value is None else read(value)
    except ValueError as error:
        raise WrongError(key, str(error)) from None
    if amount == 0 and key != "stall":
        raise WrongError(key, "it is 0, so that nothing could run")


def check_prompt(prompt: str) -> None:
    if not prompt.strip():
        raise WrongError("prompt", "it is empty")
    check_text("prompt", prompt)
    if len(prompt.encode()) > PROMPT_LIMIT:
        raise WrongError("prompt", f"it is larger than {PROMPT_LIMIT >> 20} MiB; put it into a file and name that")


def check_text(key: str, text: str) -> None:
    """What can neither be stored as UTF-8 nor stand on a command line."""
    if "\0" in text:
        raise WrongError(key, "it has a NUL character in it")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise WrongError(key, "it is not valid UTF-8") from None


def title_of(spec: JobSpec) -> str:
    """What a list shows of a job: the title that it was given, else the beginning of its prompt."""
    lines = (plain_line(said or "", TITLE_LENGTH) for said in (spec.title, spec.prompt))
    return next(filter(None, lines), "untitled")


def project_of(spec: JobSpec, settings: Settings) -> str | None:
    if spec.project is None:
        return None
    check_text("project", spec.project)
    named = settings.projects.get(spec.project)
    directory = Path(named.path if named else spec.project)
    with contextlib.suppress(RuntimeError):  # "~somebody" whom nobody knows; it is not absolute then
        directory = directory.expanduser()
    if not directory.is_absolute():
        hint = nearest(spec.project, settings.projects) if settings.projects else "give an absolute directory"
        raise WrongError("project", f"there is no project {spec.project!r}; {hint}")
    try:
        found = directory.is_dir()
    except OSError as error:
        raise WrongError("project", f"{directory} cannot be reached: {error.strerror}") from None
    if not found:
        raise WrongError("project", f"{directory} is not a directory")
    return str(directory)


def workspace_of(directory: str | None, settings: Settings) -> Workspace:
    """How the settings want the project in a directory to be worked in."""
    for project in settings.projects.values():
        if project.directory == directory:
            return project.workspace
    return Workspace.WORKTREE


def edited(spec: JobSpec, prompt: str) -> tuple[JobSpec, str]:
    """A job's spec with another prompt, and its title then. Raises `UsageError`."""
    try:
        check_prompt(prompt)
    except WrongError as wrong:
        raise UsageError(f"prompt: {wrong}") from None
    after = replace(spec, prompt=prompt)
    return after, title_of(after)


def moment(value: str | int, now: int) -> int | None:
    """A time as people write it, in milliseconds UTC; None where it is over. Raises `UsageError`."""
    try:
        return time_of("when", value, now)
    except WrongError as wrong:
        raise UsageError(f"when: {wrong}") from None


def time_of(key: str, value: str | int | None, now: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, int):
        at = value
    elif _DELAY.fullmatch(value.strip()):
        at = now + milliseconds(value)
    else:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise WrongError(key, f"{value!r} is no time; write 15m, 2h or 2026-01-31T07:00Z") from None
        at = _milliseconds(moment)
    if at >= _YEAR_10000_MS:
        raise WrongError(key, f"{str(value)[:40]!r} is later than the year 9999")
    return at if at > now else None


def _milliseconds(moment: datetime) -> int:
    """Milliseconds UTC. Without a zone it is this machine's time; what no clock can tell is past, or too far away."""
    try:
        return round(moment.timestamp() * 1000)
    except (OverflowError, ValueError, OSError):
        return 0 if moment.year < 1970 else _YEAR_10000_MS
