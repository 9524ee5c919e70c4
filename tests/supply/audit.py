"""Asks what is known against the locked packages: `make audit`. Says loudly where nobody could tell.

pip-audit asks the index's own advisories, or those of OSV; both are on the network, and no snapshot of them is in any
package. What nobody could tell of is no good news: pip-audit alone says "No known vulnerabilities" then, and exits 0.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.supply.lock import FILES, FOLDER, read

SERVICES = ("pypi", "osv")


@dataclass(frozen=True, slots=True)
class Told:
    """What was said of the packages."""

    asked: int
    known: int
    """Of so many something could be said."""
    found: tuple[str, ...]
    """What is known against them."""


def told_in(answer: str) -> Told:
    """Read pip-audit's own JSON."""
    packages = json.loads(answer)["dependencies"]
    known = [one for one in packages if "skip_reason" not in one]
    found = [
        f"{one['name']} {one['version']}: {vuln['id']}, mended in {', '.join(vuln['fix_versions']) or 'nothing yet'}"
        for one in known
        for vuln in one["vulns"]
    ]
    return Told(len(packages), len(known), tuple(found))


def ask(service: str, lock: Path) -> Told | None:
    """None where the service cannot be reached."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--disable-pip"]
    command += ["--require-hashes", "--vulnerability-service", service, "--timeout", "15", "--requirement", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True)
    return told_in(done.stdout) if done.stdout.startswith("{") else None


def verdict(said: Sequence[Told | None], locked: int) -> tuple[int, list[str]]:
    """The exit code, and what to print. 1 for what is known against a package, 0 else."""
    answers = [one for one in said if one is not None and one.known]
    found = sorted({line for one in answers for line in one.found})
    if found:
        return 1, [*found, f"{len(found)} advisories hold for what is locked: raise these versions, then `make lock`"]
    if not answers:
        return 0, [f"NOT AUDITED: no service could say anything of the {locked} locked packages from here"]
    best = max(answers, key=lambda one: one.known)
    return 0, [f"nothing is known against {best.known} of {locked} locked packages"]


def main() -> None:
    lock = FOLDER / FILES[-1]
    code, lines = verdict([ask(service, lock) for service in SERVICES], len(read()))
    print("\n".join(lines))
    sys.exit(code)


if __name__ == "__main__":
    main()
