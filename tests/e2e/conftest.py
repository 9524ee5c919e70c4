"""The real agents, installed from their registry into a cache of the project."""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest

CLAUDE_VERSION = "2.1.330"  #: pinned: what it prints changes from version to version

_CACHE = Path(__file__).parents[2] / ".cache" / "agents"


@pytest.fixture(scope="session")
def claude() -> Path:
    """The real `claude`."""
    folder = _CACHE / f"claude-{CLAUDE_VERSION}"
    binary = folder / "node_modules" / ".bin" / "claude"
    if not binary.exists():
        npm = _npm()
        if npm is None:
            reason = "npm is not here and cannot be installed: the REAL claude was NOT tested"
            warnings.warn(reason, stacklevel=1)
            pytest.skip(reason)
        folder.mkdir(parents=True, exist_ok=True)
        package = f"@anthropic-ai/claude-code@{CLAUDE_VERSION}"
        done = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), package],
            check=False,
            capture_output=True,
            text=True,
            timeout=600,
        )
        if done.returncode != 0:
            reason = f"npm could not install {package}: the REAL claude was NOT tested: {done.stderr[-300:]}"
            warnings.warn(reason, stacklevel=1)
            pytest.skip(reason)
    return binary


def _npm() -> str | None:
    found = shutil.which("npm")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=False, capture_output=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "npm"], check=False, capture_output=True)
        found = shutil.which("npm")
    return found
