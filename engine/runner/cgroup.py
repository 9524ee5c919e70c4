"""A cgroup for each attempt, where the machine lets us have one: the surest way to find all of its processes.

Needs cgroup v2 with `cgroup.kill` (Linux 5.14) and a group that is ours to divide. Under systemd that is one with
delegation; without systemd, any that we may write to. Where there is none, the environment marker does the work.

Where the controllers for memory and processes can be had below it as well, the kernel holds attempts to their limits.
It gives them only below a group that has no processes of its own: the engine is then in a group beside the attempts'.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from engine.model import Resources
from engine.runner import scopes
from engine.runner.scopes import Scopes

#: The group that the engine itself is in where it was started in one that it may divide (`DelegateSubgroup=`).
ENGINE = "engine"
_CONTROLLERS = ("memory", "pids")


class Cgroups:
    """The parent of the attempts' groups, or nothing: then `create` returns None."""

    def __init__(self, parent: Path | None, controllers: frozenset[str] = frozenset()) -> None:
        self.parent = parent
        self.controllers = controllers
        """Those by which the kernel holds attempts to limits."""
        self.scopes: Scopes | None = None
        """Systemd's, for attempts with limits where it has to make their groups."""
        self._looked = False

    @property
    def limits(self) -> bool:
        """The kernel holds our own groups to limits."""
        return set(_CONTROLLERS) <= self.controllers

    async def look(self) -> None:
        """See whether systemd makes groups with limits, where we cannot. Looked once."""
        if not self._looked and not self.limits and os.environ.get("HEADWAY_CGROUPS") != "off":
            self.scopes = await scopes.detect(_mount())
        self._looked = True

    def scoped(self, may: Resources) -> Scopes | None:
        """Who makes the group of an attempt that may take so much, where that is systemd."""
        return self.scopes if may.memory or may.pids else None

    @classmethod
    def detect(cls, home: Path) -> Cgroups:
        """Try, and say nothing where it cannot be had. `HEADWAY_CGROUPS=off` says not to try."""
        own = _divided(_own_group())
        if own is None or os.environ.get("HEADWAY_CGROUPS") == "off":
            return cls(None)
        parent = own / f"headway-{hashlib.sha256(str(home).encode()).hexdigest()[:12]}"
        try:
            parent.mkdir(exist_ok=True)
        except OSError:
            return cls(None)
        if not (parent / "cgroup.kill").exists():
            with contextlib.suppress(OSError):
                parent.rmdir()
            return cls(None)
        return cls(parent, frozenset(name for name in _CONTROLLERS if _given(name, own) and _given(name, parent)))

    def of(self, marker: str) -> Path | None:
        """The group of an attempt, if it exists."""
        places = [self.parent / marker] if self.parent is not None else []
        places += [self.scopes.group(marker)] if self.scopes is not None else []
        return next((one for one in places if one.exists()), None)

    def create(self, marker: str, may: Resources | None = None) -> Path | None:
        """A group for an attempt, which the kernel holds to what it may take, as far as it does that here."""
        if self.parent is None:
            return None
        group = self.parent / marker
        try:
            group.mkdir(exist_ok=True)
        except OSError:
            return None
        if may is not None:
            self._limit(group, may)
        return group

    def _limit(self, group: Path, may: Resources) -> None:
        wanted: dict[str, int] = {}
        if may.memory and "memory" in self.controllers:
            # All of it ends at once: half an agent is of no use, and says nothing of why the other half went.
            wanted |= {"memory.oom.group": 1, "memory.swap.max": 0, "memory.max": may.memory}
        if may.pids and "pids" in self.controllers:
            wanted["pids.max"] = may.pids
        for name, value in wanted.items():
            with contextlib.suppress(OSError):  # the engine looks as well
                (group / name).write_text(str(value))

    def remove(self, group: Path | None) -> None:
        """Give an empty group back. One that is not empty yet is tried again at the next start."""
        if group is not None:
            with contextlib.suppress(OSError):
                group.rmdir()

    def close(self) -> None:
        """Remove what is empty: groups of attempts that have ended, and the parent after the last of them."""
        if self.parent is None:
            return
        for entry in list(self.parent.iterdir()) if self.parent.exists() else []:
            if entry.is_dir():
                self.remove(entry)
        self.remove(self.parent)


def members(group: Path) -> set[int]:
    """Pids in a group; none where it is gone."""
    try:
        return {int(line) for line in (group / "cgroup.procs").read_text().split()}
    except OSError:
        return set()


def kill(group: Path) -> None:
    """SIGKILL to everything in a group at once, whatever it forks meanwhile."""
    with contextlib.suppress(OSError):
        (group / "cgroup.kill").write_text("1")


def held(group: Path) -> int | None:
    """Bytes of memory that a group's processes hold; None where the kernel does not count them for this group.

    What the page cache holds for them is left out: it is given back as soon as anybody needs it.
    """
    try:
        whole = int((group / "memory.current").read_text())
        parts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return max(0, whole - int(parts["file"]) + int(parts["shmem"]))
    except (OSError, ValueError, KeyError):
        return None


def refused(group: Path) -> int:
    """So often a group was refused one more process or thread, by its own limit."""
    return _event(group / "pids.events", "max")


def ended_for_memory(group: Path) -> bool:
    """Whether the kernel has ended something in a group because that had no memory left."""
    return _event(group / "memory.events", "oom_kill") > 0


def peak(group: Path) -> int | None:
    """The most memory that a group held, its page cache included; None where the kernel does not tell (before 5.19)."""
    try:
        return int((group / "memory.peak").read_text())
    except (OSError, ValueError):
        return None


def _event(file: Path, name: str) -> int:
    try:
        return int(dict(line.split() for line in file.read_text().splitlines())[name])
    except (OSError, ValueError, KeyError):
        return 0


def cpu_ms(group: Path) -> int | None:
    """Processor time of all that ever ran in a group; None where the kernel does not count it."""
    try:
        first = (group / "cpu.stat").read_text().split("\n", 1)[0].split()
    except OSError:
        return None
    return int(first[1]) // 1000 if len(first) == 2 and first[0] == "usage_usec" else None


def room(groups: Iterable[Path]) -> int | None:
    """Bytes of memory that the tightest of these groups can still give; None where none has a limit."""
    left = []
    for group in groups:
        try:
            most = (group / "memory.max").read_text().strip()
        except OSError:
            continue
        if most.isdigit() and (used := held(group)) is not None:
            left.append(int(most) - used)
    return min(left, default=None)


def own_groups() -> list[Path]:
    """The group of this process and those around it, as far as they can be seen."""
    own, top = _own_group(), _mount()
    if own is None or top is None:
        return []
    return [one for one in (own, *own.parents) if one.is_relative_to(top)]


def _own_group() -> Path | None:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    path = next((line[3:] for line in lines if line.startswith("0::")), None)
    mount = _mount()
    return None if path is None or mount is None else mount / path.lstrip("/")


def _mount() -> Path | None:
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return None
    return next((Path(line.split()[4]) for line in mounts if " - cgroup2 " in line), None)


def _divided(own: Path | None) -> Path | None:
    """The group to divide: the one around us where we were put into a part of it for that, else our own."""
    if own is None:
        return None
    around = own.parent if own.name == ENGINE else own
    return around if _is_ours_to_divide(around) else None


def _given(controller: str, group: Path) -> bool:
    """Whether the groups below this one have a controller, asking for it where they have not."""
    control = group / "cgroup.subtree_control"
    with contextlib.suppress(OSError):
        if controller in control.read_text().split():
            return True
        control.write_text(f"+{controller}")
        return controller in control.read_text().split()
    return False


def _is_ours_to_divide(group: Path) -> bool:
    if not os.access(group, os.W_OK):
        return False
    if not Path("/run/systemd/system").exists():
        return True
    for name in ("trusted.delegate", "user.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(group, name) == b"1":
                return True
    return False
