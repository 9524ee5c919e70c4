"""The systemd unit of a headless engine: what it says, and why. Pure.

`Type=notify`: it is up once it answers. `KillMode=process`: a stop or a restart of the engine ends the engine alone;
agents run on in the unit's own group, and the next engine adopts them. `Delegate=yes`: the engine may make a group for
each attempt below it. What hardens the unit holds for the agents too, so that nothing of it may be in their way: they
write in projects, start servers and compilers, and some map memory that can be written and run.
"""

from __future__ import annotations

import getpass
import pwd
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import UsageError

NAME = "headway"
STOP_SECONDS = 30  #: that the engine is given to end; agents are not waited for


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of the operator's own systemd, or of the machine's."""

    home: Path
    program: Path
    """The `headway` that serves."""
    system: bool = False
    user: str = ""
    """Whose engine it is, for a unit of the machine."""
    drain: int | None = None
    """Seconds that running attempts are given at a stop."""
    path: str = ""
    """Where agents are found: the PATH of whoever installs it."""

    @property
    def file(self) -> Path:
        """Where systemd looks for it."""
        if self.system:
            return Path("/etc/systemd/system") / f"{NAME}.service"
        return Path.home() / ".config/systemd/user" / f"{NAME}.service"

    @property
    def control(self) -> list[str]:
        """How systemctl is called for it."""
        return ["systemctl"] if self.system else ["systemctl", "--user"]

    def text(self) -> str:
        """The whole unit file."""
        headway = [str(self.program), "--home", str(self.home)]
        command = [*headway, "serve", "--log", "json"]
        stop = STOP_SECONDS
        if self.drain is not None:
            command += ["--drain", str(self.drain)]
            stop += self.drain
        sections = {
            "Unit": [
                "Description=Headway: a durable queue of coding agents",
                "Wants=network-online.target",
                "After=network-online.target",
                "StartLimitIntervalSec=300",
                "StartLimitBurst=10",
            ],
            "Service": [
                "Type=notify",
                "NotifyAccess=main",
                *([f"User={self.user}"] if self.system else []),
                f"ExecStart={quoted(command)}",
                # Not by kill(1), which not every image has; and systemctl is told of settings that were not taken.
                f"ExecReload={quoted([*headway, 'reload'])}",
                f"Environment={quoted([f'PATH={self.path}'])}" if self.path else "",
                "Restart=on-failure",
                "RestartSec=5",
                "# A stop ends the engine; its agents run on, and the next engine adopts them.",
                "KillMode=process",
                f"TimeoutStopSec={stop}",
                "Delegate=yes",
                "OOMPolicy=continue",
                "LimitNOFILE=65536",
                *_hardened(self.home, system=self.system, root=self.user == "root"),
            ],
            "Install": [f"WantedBy={'multi-user.target' if self.system else 'default.target'}"],
        }
        parts = ["\n".join([f"[{name}]", *filter(None, lines)]) for name, lines in sections.items()]
        return "\n\n".join(parts) + "\n"


def _hardened(home: Path, *, system: bool, root: bool = False) -> list[str]:
    """What neither the engine nor an agent needs. A user's own systemd cannot give a service less than the user has.

    Two kinds of it would take their sandboxes from the agents, and are for root alone. What covers a part of /proc: no
    other /proc can be mounted then, as the kernel gives nobody without rights more of it than he sees; and without
    rights nobody writes there anyway. RestrictSUIDSGID: it takes openat2 away, without which bubblewrap (0.11) does
    nothing; and NoNewPrivileges leaves a set-user-ID bit without effect for whoever sets it.
    """
    if not system:
        return ["UMask=0077", "NoNewPrivileges=yes"]
    for_root = ["ProtectKernelTunables=yes", "ProtectKernelLogs=yes", "ProtectHostname=yes", "RestrictSUIDSGID=yes"]
    return [
        "UMask=0077",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "AmbientCapabilities=",
        "ProtectSystem=full",
        *(for_root if root else []),
        "ProtectKernelModules=yes",
        "ProtectClock=yes",
        "ProtectProc=invisible",
        "PrivateDevices=yes",
        "PrivateMounts=yes",
        "RestrictRealtime=yes",
        "LockPersonality=yes",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        "SystemCallArchitectures=native",
        "# No list of what is allowed: agents sandbox what they run with mounts, namespaces and Landlock.",
        "SystemCallFilter=~@clock @cpu-emulation @module @obsolete @raw-io @reboot @swap",
        "SystemCallErrorNumber=EPERM",
        f"ReadWritePaths={quoted([f'-{home}'])}",
    ]


def quoted(words: list[str]) -> str:
    """Words as systemd reads them: `%` and `$` mean something to it, and quoting is nearly the shell's."""
    return " ".join(_word(word) for word in words)


def _word(word: str) -> str:
    plain = word.replace("%", "%%").replace("$", "$$")
    if plain and not set(plain) & set(" \t\"'\\;"):
        return plain
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def whose(named: str, environment: Mapping[str, str]) -> str:
    """Whose engine a unit of the machine is: the one named, else whoever became root by sudo, else the installer.

    Raises `UsageError` for root who was not named: agents with all rights are nothing to get by default.
    """
    owner = named or environment.get("SUDO_USER") or getpass.getuser()
    if owner == "root" and named != "root":
        raise UsageError("whose engine is it? say --user NAME: its agents have that user's rights")
    return owner


def home_of(user: str) -> Path:
    """A user's home directory. Raises `UsageError` where nobody is called so."""
    try:
        return Path(pwd.getpwnam(user).pw_dir)
    except KeyError:
        raise UsageError(f"there is no user {user!r} on this machine") from None


def shown(command: list[str]) -> str:
    """A command as one would type it."""
    return shlex.join(command)
