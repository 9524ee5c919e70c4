"""What headway.yaml says of the machine that an attempt's processes may take, by scope as caps are said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from engine.config import checks
from engine.config.scopes import scope_of
from engine.documents import Complaint, Keys, nearest
from engine.model import ALL, SCOPES, Resources
from engine.units import milliseconds, size

if TYPE_CHECKING:
    from engine.config.settings import Settings

#: Below this no agent starts: a POSIX shell with its redirections and bubblewrap need some.
LEAST_FILES = 16
LEAST_MEMORY = 1 << 20
#: Of several scopes the nearest one's word counts, field by field. The later ones are nearer.
NEARNESS = (ALL, "agent", "account", "target", "project", "tag")


class ResourceSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits of one scope. An unset one is left to a wider scope; 0 is without a limit, whatever that says."""

    memory: str | int | None = None
    """What its processes may hold together."""
    pids: Annotated[int, Meta(ge=0, le=4_194_304)] | None = None
    """Processes and threads together, as the kernel and containers count them."""
    cpu_time: str | int | None = None
    """Processor time that they may use together. How long it may take is `timeout`."""
    nofile: Annotated[int, Meta(ge=0, le=1 << 30)] | None = None
    """Open files of each process."""
    fsize: str | int | None = None
    """The largest file that one of them may write."""
    address_space: str | int | None = None
    """What each may map. Not for Node, Bun and Java: they map far more than they use."""


def resources_of(settings: Settings, scopes: Sequence[str]) -> Resources:
    """What an attempt of these scopes may take: `all` and words such as `agent:claude`, `project:/src/api`.

    Several tags are equally near: of those the tightest limit counts.
    """
    said = [(name, one) for name, one in settings.resources.items() if scope_of(name, settings) in (ALL, *scopes)]
    found: dict[str, int] = {}
    named = [scope.partition(":")[2] for scope in scopes if scope.startswith("agent:")]
    own = next((settings.agent(name).memory for name in named), None)
    for kind in NEARNESS:
        level: dict[str, list[int]] = {}
        if kind == "agent" and own is not None:
            level["memory"] = [size(own)]
        for name, one in said:
            if name.partition(":")[0] == kind:
                for field, value in _amounts(one).items():
                    level.setdefault(field, []).append(value)
        found |= {field: min(filter(None, values), default=0) for field, values in level.items()}
    return Resources(**found)


def _amounts(one: ResourceSettings) -> dict[str, int]:
    """What is said, in bytes, milliseconds and numbers."""
    said: dict[str, int | None] = {
        "memory": None if one.memory is None else size(one.memory),
        "pids": one.pids,
        "cpu_time": None if one.cpu_time is None else milliseconds(one.cpu_time),
        "nofile": one.nofile,
        "fsize": None if one.fsize is None else size(one.fsize),
        "address_space": None if one.address_space is None else size(one.address_space),
    }
    return {name: value for name, value in said.items() if value is not None}


def complaints(settings: Settings) -> Iterator[Complaint]:
    """What is wrong with limits on resources."""
    for scope, one in settings.resources.items():
        keys: Keys = ("resources", scope)
        kind, _, rest = scope.partition(":")
        if scope != ALL and (kind not in SCOPES or not rest):
            yield keys, f"a scope is {ALL} or one of {', '.join(f'{one}:NAME' for one in SCOPES)}"
            continue
        if kind == "project" and rest not in settings.projects and not rest.startswith("/"):
            hint = nearest(rest, settings.projects) if settings.projects else "give its directory"
            yield keys, f"there is no project {rest!r}; {hint}"
        yield from checks.sizes(keys, one, "memory", "fsize", "address_space")
        yield from checks.spans(keys, one, "cpu_time")
        if one.nofile and one.nofile < LEAST_FILES:
            yield (*keys, "nofile"), f"nothing starts with less than {LEAST_FILES} open files"
        if kind == "agent" and one.memory is not None and settings.agent(rest).memory is not None:
            yield (*keys, "memory"), f"agents: {rest}: memory says it already; say it in one place"
