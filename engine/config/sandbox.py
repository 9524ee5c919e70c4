"""What an agent's processes may see and write of this machine, where that is not everything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct, field

from engine.config import checks
from engine.documents import Complaint, Keys
from engine.network.allowed import Entry, parse

if TYPE_CHECKING:
    from engine.config.settings import Settings


class SandboxSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is let into the sandbox besides the workspace and the agent's own folders."""

    network: bool | list[str] = True
    """Without it nothing outside of the sandbox can be reached: for commands, and for models in the workspace.

    A list names the only hosts that can be, by way of a proxy of the engine: `api.example.org`, `*.example.org:8443`.
    With an empty one that is the tap alone, for an account that has one.
    """
    write: list[str] = field(default_factory=list)
    """Further files and directories that may be written: a cache of packages, a socket."""
    read: list[str] = field(default_factory=list)
    """What is to be seen of the home, which is hidden otherwise."""

    @property
    def entries(self) -> list[Entry]:
        """The hosts that can be reached where the network is a list of them."""
        return [parse(one) for one in self.network] if isinstance(self.network, list) else []


#: `true` is the sandbox as it comes; `false` is none.
Sandbox = bool | SandboxSettings


def chosen(settings: Settings, agent: str, project: str | None) -> SandboxSettings | None:
    """The sandbox of an attempt; None for none. The project's word goes before the agent's, that before everybody's."""
    of_project = next((one.sandbox for one in settings.projects.values() if one.directory == project), None)
    of_agent = settings.agent(agent).sandbox
    said = next((one for one in (of_project, of_agent) if one is not None), settings.sandbox)
    if isinstance(said, SandboxSettings):
        return said
    return SandboxSettings() if said else None


def complaints(settings: Settings) -> Iterator[Complaint]:
    """What is wrong with sandboxes, wherever they are said."""
    yield from _of(("sandbox",), settings.sandbox)
    for name, account in settings.accounts.items():
        said = chosen(settings, account.agent, None)
        if account.tap and said is not None and said.network is False:
            hint = "say network: [] there for nothing but the tap"
            yield (
                ("accounts", name, "tap"),
                f"{account.agent} has no network in its sandbox, and the tap needs it; {hint}",
            )
    for kind, those in (("agents", settings.agents), ("projects", settings.projects)):
        for name, one in those.items():
            yield from _of((kind, name, "sandbox"), one.sandbox)


def _of(keys: Keys, said: Sandbox | None) -> Iterator[Complaint]:
    if not isinstance(said, SandboxSettings):
        return
    for place, host in enumerate(said.network if isinstance(said.network, list) else ()):
        try:
            parse(host)
        except ValueError as error:
            yield (*keys, "network", place), str(error)
    for what in ("write", "read"):
        for place, path in enumerate(getattr(said, what)):
            if not checks.is_whole(path):
                yield (*keys, what, place), "it has to be an absolute path, or begin with ~"
            elif what == "write" and path.rstrip("/") in ("", "~"):
                yield (*keys, what, place), "that is everything; sandbox: false is the word for that"
