"""What is wrong in settings whose types are right."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from engine.config.keys import KeyReference
from engine.config.settings import Settings
from engine.documents import nearest
from engine.model import ALL, SCOPES, TAG, Permission
from engine.units import milliseconds, size


def complaints(settings: Settings, agents: list[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong beyond the types: the keys that lead to it, and why."""
    for name, one in settings.agents.items():
        if name not in agents:
            yield ("agents", name), f"there is no agent {name!r}; {nearest(name, agents)}"
        yield from _variables(("agents", name), one.env, one.pass_env)
        yield from _units(("agents", name), one)
        for provider, asked in one.providers.items():
            yield from _key(("agents", name, "providers", provider, "key"), asked.key)
            yield from _units(("agents", name, "providers", provider), asked)
        if one.sessions is not None:
            yield from _units(("agents", name, "sessions"), one.sessions)
    if settings.default_agent not in agents:
        wrong = settings.default_agent
        yield ("default_agent",), f"there is no agent {wrong!r}; {nearest(wrong, agents)}"
    for name, account in settings.accounts.items():
        if account.agent not in agents:
            yield ("accounts", name, "agent"), f"there is no agent {account.agent!r}; {nearest(account.agent, agents)}"
        if not re.fullmatch(TAG, name):
            yield ("accounts", name), "a name is made of letters, digits and . _ / -"
        yield from _variables(("accounts", name), account.env, account.pass_env)
        yield from _key(("accounts", name, "key"), account.key)
        if account.config_dir is not None and not _is_whole(account.config_dir):
            yield ("accounts", name, "config_dir"), "it has to be an absolute path, or begin with ~"
    for scope in settings.caps:
        kind, _, rest = scope.partition(":")
        if scope != ALL and (kind not in SCOPES or not rest):
            yield ("caps", scope), f"a scope is {ALL} or one of {', '.join(f'{one}:NAME' for one in SCOPES)}"
    for rule in settings.permissions.rules:
        if rule.project is not None and rule.project not in settings.projects and not rule.project.startswith("/"):
            hint = nearest(rule.project, settings.projects) if settings.projects else "give its directory"
            yield ("permissions", "rules"), f"there is no project {rule.project!r}; {hint}"
    yield from _bypasses(settings)
    yield from _units(("permissions",), settings.permissions)
    yield from _units((), settings)
    yield from _units(("retry_budget",), settings.retry_budget)
    yield from _units(("upkeep",), settings.upkeep)
    yield from _units(("sessions",), settings.sessions)


def _bypasses(settings: Settings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Who may do anything has to be named where it is said for which project."""
    for name, project in settings.projects.items():
        if project.permission is Permission.BYPASS and not project.allow_bypass:
            yield ("projects", name, "permission"), "bypass lets agents do anything; it also needs allow_bypass: true"
    for name, agent in settings.agents.items():
        if agent.permission is Permission.BYPASS:
            yield ("agents", name, "permission"), "bypass is said for a project, with allow_bypass: true, or for a job"


def _key(keys: tuple[str, ...], key: KeyReference | None) -> Iterator[tuple[tuple[str, ...], str]]:
    if key is None:
        return
    if sum(way is not None for way in (key.env, key.file, key.command)) != 1 or key.command == []:
        yield keys, "say where it is kept, in one way: env: NAME, file: PATH or command: [PROGRAM, ...]"
    if key.file is not None and not _is_whole(key.file):
        yield (*keys, "file"), "it has to be an absolute path, or begin with ~"
    for name, variable in (("env", key.env), ("variable", key.variable)):
        if variable is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
            yield (*keys, name), "it has to be the name of a variable; the key itself does not belong here"


def _is_whole(path: str) -> bool:
    return path.startswith(("/", "~"))


_SPANS = (
    "timeout",
    "stall",
    "ageing",
    "every",
    "compress_after",
    "runs_for",
    "worktrees_for",
    "quarantine_for",
    "idle",
    "max_age",
)

_SIZES = ("memory", "memory_reserve")


def _units(keys: tuple[str, ...], one: Struct) -> Iterator[tuple[tuple[str, ...], str]]:
    for names, read in ((_SPANS, milliseconds), (_SIZES, size)):
        for name in names:
            value = getattr(one, name, None)
            if value is None:
                continue
            try:
                read(value)
            except ValueError as error:
                yield (*keys, name), str(error)


def _variables(keys: tuple[str, ...], env: dict[str, str], passed: list[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    for variable in (*env, *passed):
        if not variable or "=" in variable or "\0" in variable + env.get(variable, ""):
            yield keys, f"{variable!r} is no name of a variable"
