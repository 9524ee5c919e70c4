"""What doctor says of the agents' programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.agents.registry import agents
from engine.config import AgentSettings, Settings
from engine.doctor import examine, programs


def program(path: Path, script: str) -> AgentSettings:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return AgentSettings(command=[str(path)])


async def test_each_agents_program_is_looked_for_and_asked_its_version(tmp_path: Path) -> None:
    settings = Settings(
        agents={
            "claude": program(tmp_path / "claude", "echo '2.1.330 (Claude Code)'"),
            "codex": program(tmp_path / "codex", '[ "$1" = --version ] && echo codex-cli 0.169.0'),
            "opencode": AgentSettings(command=[str(tmp_path / "missing")]),
            "gemini": program(tmp_path / "gemini", "echo 'needs Node 20'; exit 1"),
        }
    )
    found = {check.name: check for check in await programs(agents(), settings)}
    assert set(found) == {"claude", "codex", "opencode", "gemini"}
    assert (found["claude"].ok, found["claude"].found) == (True, "2.1.330 (Claude Code)")
    assert (found["codex"].ok, found["codex"].found) == (True, "codex-cli 0.169.0")
    assert (found["opencode"].ok, found["opencode"].found) == (False, f"{tmp_path / 'missing'} is not installed")
    assert found["opencode"].mend.startswith("npm install -g opencode-ai,")
    assert not found["gemini"].ok
    assert not any(check.needed for check in found.values()), "nobody needs all of them"


async def test_they_are_among_all_that_it_looks_at(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    program(tmp_path / "codex", "echo codex-cli 0.169.0")
    found = {check.name: check for check in await examine(home)}
    assert (found["codex"].ok, found["codex"].found) == (True, "codex-cli 0.169.0")
    assert "opencode is not installed" in found["opencode"].found
