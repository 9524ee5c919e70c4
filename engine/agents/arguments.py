"""Holding the settings of an agent against what its command line takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from engine.config import AgentSettings
from engine.errors import SettingError, UsageError


def refuse(agent: str, args: Sequence[str], reserved: Mapping[str, str], *, clusters: bool = False) -> None:
    """Raise `UsageError` for options that are Headway's to give. `reserved`: option -> why.

    An option is met in every spelling that the agents' parsers take: `--opt=x`, `-ox`, `--optName` for `--opt-name`
    and, where the agent takes `clusters`, `-xo`.
    """
    for arg in args:
        for option in _spellings(arg, clusters):
            if why := reserved.get(option):
                raise SettingError(("agents", agent, "args"), f"remove {arg!r}: {why}")


def _spellings(arg: str, clusters: bool) -> Iterable[str]:
    if arg == "--" or not arg.startswith("-"):
        return [arg]
    name = arg.partition("=")[0]
    if name.startswith("--"):
        return [re.sub(r"(?<=[a-z])[A-Z]", lambda found: "-" + found[0].lower(), name)]
    return [f"-{letter}" for letter in (name[1:] if clusters else name[1:2])]


def unsafe(agent: str, word: str, settings: AgentSettings) -> SettingError:
    """The refusal of what would let an agent do anything."""
    why = f"{word!r} lets the agent do anything on this machine; that needs a sandbox around it first: remove it"
    return SettingError(("agents", agent, key_of(word, settings)), why)


def key_of(word: str, settings: AgentSettings) -> str:
    """The key of an agent's settings in which a word stands."""
    if word == settings.permission_mode:
        return "permission_mode"
    if word in settings.allowed_tools:
        return "allowed_tools"
    return "command" if word in (settings.command or ()) else "args"


def one_of(agent: str, value: str | None, modes: Sequence[str]) -> str:
    """The permission mode; the first of `modes` where none is set."""
    if value is None:
        return modes[0]
    if value not in modes:
        raise SettingError(("agents", agent, "permission_mode"), f"{value!r} is none of {', '.join(modes)}")
    return value


def word(agent: str, value: str, what: str) -> str:
    """A value that is no option."""
    if value.startswith("-"):
        raise UsageError(f"agents.{agent}: {what} {value!r} would be read as an option")
    return value


def uuid(agent: str, name: str) -> str:
    """The name of a session, which the agent takes for a prompt or a title where it is no UUID."""
    try:
        return str(UUID(name))
    except ValueError:
        raise UsageError(f"{agent}: the session {name!r} is not a UUID") from None


def below(env: Mapping[str, str], *places: tuple[str, str]) -> list[str]:
    """The folder that the first variable which is set leads to: pairs of its name and what is below it."""
    return next(([f"{env[name].rstrip('/')}/{rest}"] for name, rest in places if env.get(name)), [])
