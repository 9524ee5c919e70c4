"""The lock files as they are written: names, versions, hashes and the machines that each entry is for. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".lock"
OWN = "headway"
#: Each file holds what those before it do not. What an image installs; what tests and checks need; every other extra.
FILES = ("serve.txt", "dev.txt", "all.txt")
BUILD = "build.txt"  #: what makes a wheel and the list of all that is in an image
SUPPLY = "supply.txt"  #: what makes and checks these files
SERVED = ("llm", "memory", "otel")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Locked:
    """One entry."""

    name: str
    version: Version
    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def here(self) -> bool:
        """Whether it is for this Python and this machine."""
        return self.requirement.marker is None or self.requirement.marker.evaluate()


class LockError(Exception):
    """A lock file that is none."""


def blocks(text: str) -> Iterator[str]:
    """The entries of a file, each on one line; comments and lines that name another file are left out."""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if line.strip() and not line.startswith(("#", "-r ")):
            yield line


def entry(line: str) -> Locked:
    """Raises `LockError` for what is not pinned, has no hash, or says more than that."""
    head = line.partition(" --hash=")[0].strip()
    if line.startswith("-") or "://" in head or "@" in head:
        raise LockError(f"{line[:80]}: a lock names packages, not where they come from")
    requirement = Requirement(head)
    pins = [one for one in requirement.specifier if one.operator == "==" and not one.version.endswith(".*")]
    hashes = tuple(_HASH.findall(line))
    if len(pins) != 1 or len(list(requirement.specifier)) != 1:
        raise LockError(f"{head}: it is not pinned to one version")
    if not hashes or len(hashes) != line.count("--hash="):
        raise LockError(f"{head}: it has no sha256")
    return Locked(canonicalize_name(requirement.name), Version(pins[0].version), requirement, hashes)


def read(names: Sequence[str] = FILES, folder: Path = FOLDER) -> list[Locked]:
    """The entries of some files."""
    return [entry(line) for name in names for line in blocks((folder / name).read_text())]


def here(entries: Sequence[Locked]) -> dict[str, Locked]:
    """Those for this Python and this machine, by name."""
    return {one.name: one for one in entries if one.here}


def asked(extras: Sequence[str] | None = None, pyproject: Path = ROOT / "pyproject.toml") -> list[Requirement]:
    """What the project asks for, with these extras; None is all of them."""
    project = tomllib.loads(pyproject.read_text())["project"]
    optional: Mapping[str, list[str]] = project["optional-dependencies"]
    wanted, found = list(optional if extras is None else extras), list(map(Requirement, project["dependencies"]))
    seen: set[str] = set()
    while wanted:
        if (extra := wanted.pop()) in seen:
            continue
        seen.add(extra)
        for one in map(Requirement, optional[extra]):
            if canonicalize_name(one.name) == OWN:
                wanted += one.extras
            else:
                found.append(one)
    return found


def asked_by(extra: str, pyproject: Path = ROOT / "pyproject.toml") -> list[Requirement]:
    """What one extra asks for by itself."""
    return list(map(Requirement, tomllib.loads(pyproject.read_text())["project"]["optional-dependencies"][extra]))


def unmet(requirements: Sequence[Requirement], locked: Mapping[str, Locked]) -> list[str]:
    """What is asked for here and is not locked, or not in a version that will do."""
    wrong = []
    for one in requirements:
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        found = locked.get(canonicalize_name(one.name))
        if found is None:
            wrong.append(f"{one}: it is not locked")
        elif not one.specifier.contains(found.version, prereleases=True):
            wrong.append(f"{one}: {found.version} is locked")
    return wrong
