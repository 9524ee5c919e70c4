"""Where an engine elsewhere is: `ssh://user@host:port/home`, read into what ssh is started with. Pure."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, quote, unquote, urlsplit

from engine.errors import UsageError

SCHEME = "ssh://"

#: Where pip and pipx put programs; the PATH of a shell that ssh starts often lacks it.
_LOOKED_IN = "$HOME/.local/bin"


@dataclass(frozen=True, slots=True)
class Place:
    """A home on another machine."""

    host: str
    """As ssh takes it, with the user where one is named: a name of its config works."""
    port: int | None = None
    home: str | None = None
    """None: the one that `headway` takes there by itself."""
    headway: str = "headway"
    """The program there."""
    ssh: tuple[str, ...] = ("ssh",)

    def __str__(self) -> str:
        """As `read_place` reads it."""
        user, at, host = self.host.rpartition("@")
        where = f"{quote(user)}{at}{f'[{host}]' if ':' in host else host}" + (f":{self.port}" if self.port else "")
        home = f"/{self.home}" if self.home and self.home.startswith("~") else self.home or ""
        program = f"?headway={quote(self.headway)}" if self.headway != "headway" else ""
        return f"{SCHEME}{where}{quote(home)}{program}"

    def command(self, *words: str) -> str:
        """A command line of `headway` there, for the shell there."""
        program = shlex.quote(self.headway)
        home = ["--home", self.home] if self.home else []
        line = " ".join([program, *map(_quoted, [*home, *words])])
        if "/" in self.headway:
            return f"exec {line}"
        return f"sh -c {shlex.quote(f'PATH=$PATH:{_LOOKED_IN}; exec {line}')}"

    def argv(self, command: str, *options: str) -> list[str]:
        """How ssh is started for a command there."""
        port = ["-p", str(self.port)] if self.port else []
        return [*self.ssh, *options, *port, "--", self.host, command]


def _quoted(word: str) -> str:
    """A word for a shell, with a `~` at its beginning left to it."""
    if word == "~" or word.startswith("~/"):
        return "~" + (f"/{shlex.quote(word[2:])}" if word[2:] else "")
    return shlex.quote(word)


def is_place(text: str) -> bool:
    return text.startswith(SCHEME)


def read_place(text: str, environment: Mapping[str, str] = os.environ) -> Place:
    """Read `ssh://[user@]host[:port][/home][?headway=PROGRAM]`; a home of `/~/x` is one in the user's own directory.

    `HEADWAY_SSH` of the environment is the ssh to use, with its options. Raises `UsageError` that says what is wrong.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
        query = parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise UsageError(f"{text}: {error}; write it as ssh://user@host:port") from None
    if not is_place(text) or not parts.hostname:
        raise UsageError(f"{text}: no host is named; write it as ssh://user@host:port")
    if parts.password is not None:
        raise UsageError("a password has no place in an address; ssh asks for it, or takes a key")
    if unknown := set(query) - {"headway"}:
        raise UsageError(f"{text}: there is no {sorted(unknown)[0]!r}; after ? stands headway=PROGRAM")
    host = _host(parts.netloc, port)
    if host.startswith("-"):
        raise UsageError(f"{text}: {host!r} is no host")
    home = unquote(parts.path).rstrip("/")
    place = Place(host, port, home.removeprefix("/") if home.startswith("/~") else home or None)
    place = replace(place, headway=query["headway"][0]) if query else place
    return replace(place, ssh=_ssh(environment))


def _host(netloc: str, port: int | None) -> str:
    """The user and host as they are written, without the port and the brackets of an IPv6 address."""
    user, at, rest = netloc.rpartition("@")
    if port is not None:
        rest = rest[: -len(f":{port}")] if rest.endswith(f":{port}") else rest.rpartition(":")[0]
    return f"{unquote(user)}{at}{rest.strip('[]')}"


def _ssh(environment: Mapping[str, str]) -> tuple[str, ...]:
    try:
        words: Sequence[str] = shlex.split(environment.get("HEADWAY_SSH", "")) or ["ssh"]
    except ValueError as error:
        raise UsageError(f"HEADWAY_SSH: {error}") from None
    return tuple(words)
