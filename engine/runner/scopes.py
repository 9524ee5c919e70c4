"""A scope of systemd for an attempt: how the kernel holds it to limits where systemd runs and lets us divide no group.

`systemd-run --scope` moves itself into a new group with the limits, and becomes the program. The group goes when it is
empty, and what the kernel counted in it with it: so the attempt's shim, which is the last in it, keeps a copy.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.model import Resources
from engine.runner import spawn

PROGRAM = "systemd-run"
SLICE = "headway.slice"
BOOTED = Path("/run/systemd/system")  #: is there where systemd is the machine's first process (sd_booted(3))
PROBE_SECONDS = 10.0
_NAMES = ("HOME", "PATH", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")


@dataclass(frozen=True, slots=True)
class Scopes:
    """Where they are made: by the user's own systemd or the machine's, and the directory of their groups."""

    root: Path
    user: bool

    def group(self, marker: str) -> Path:
        """The group that an attempt's scope has while it runs."""
        return self.root / f"headway-{marker}.scope"

    def command(self, marker: str, may: Resources) -> list[str]:
        """What a command line begins with that runs in a scope with these limits."""
        limits = [f"MemoryMax={may.memory}", "MemorySwapMax=0"] if may.memory else []
        limits += [f"TasksMax={may.pids}"] if may.pids else []
        return [*_run(user=self.user), f"--unit=headway-{marker}", *(f"--property={one}" for one in limits), "--"]


def _run(*, user: bool) -> list[str]:
    own = ["--user"] if user else []
    return [PROGRAM, *own, "--scope", "--quiet", "--collect", f"--slice={SLICE}"]


async def detect(mount: Path | None) -> Scopes | None:
    """Make one, and see where it was put. None where there is no systemd that makes one with limits for us."""
    if mount is None or not BOOTED.exists() or shutil.which(PROGRAM) is None:
        return None
    user = os.geteuid() != 0
    env = {name: os.environ[name] for name in _NAMES if name in os.environ}
    probe = [*_run(user=user), "--property=MemoryMax=1G", "--property=TasksMax=64", "--", "cat", "/proc/self/cgroup"]
    try:
        done = await spawn.run(probe, env, within=PROBE_SECONDS)
    except (OSError, TimeoutError):
        return None
    said = done.stdout.decode(errors="replace").splitlines()
    path = next((line[3:] for line in said if line.startswith("0::")), "")
    if done.code != 0 or not path.endswith(".scope"):
        return None
    root = (mount / path.lstrip("/")).parent
    return Scopes(root, user) if _limits(root) else None


def _limits(root: Path) -> bool:
    """Whether the kernel counts memory and processes for the groups below a slice."""
    try:
        given: Sequence[str] = (root / "cgroup.controllers").read_text().split()
    except OSError:
        return False
    return {"memory", "pids"} <= set(given)
