"""The real agents: installed from their registry into a cache of the project, and pointed at a model server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.config import AgentSettings

#: Pinned: what they print changes from version to version.
PACKAGES = {
    "claude": "@anthropic-ai/claude-code@2.1.330",
    "codex": "@openai/codex@0.169.0",
    "opencode": "opencode-ai@1.18.33",
    "gemini": "@google/gemini-cli@0.61.0",
}
INSTALL_SECONDS = 900

_CACHE = Path(__file__).parents[2] / ".cache" / "agents"


@dataclass(frozen=True)
class RealAgent:
    """One of them: what it is called, what it is asked for, and what its shell and its denial are."""

    name: str
    model: str | None
    shell: list[str]
    """`allowed_tools` that let it run any command."""
    denying: dict[str, object]
    """Settings under which it may not run a command."""
    configure: Callable[[Path, str], dict[str, str]]
    """Writes its configuration into a home, for a model server, and returns the environment that it needs."""


def _claude(home: Path, url: str) -> dict[str, str]:
    """As a subscription: usage limits are told to those alone."""
    return {
        "ANTHROPIC_BASE_URL": url,
        "CLAUDE_CODE_OAUTH_TOKEN": "made-up",
        "CLAUDE_CONFIG_DIR": str(home / ".claude"),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


def _codex(home: Path, url: str) -> dict[str, str]:
    (home / ".codex").mkdir(exist_ok=True)
    (home / ".codex" / "config.toml").write_text(
        f'model = "gpt-5.5"\nmodel_provider = "scripted"\n[model_providers.scripted]\nname = "scripted"\n'
        f'base_url = "{url}/v1"\nenv_key = "SCRIPTED_KEY"\nwire_api = "responses"\n'
        "request_max_retries = 1\nstream_max_retries = 1\n"
    )
    return {"CODEX_HOME": str(home / ".codex"), "SCRIPTED_KEY": "made-up"}


def _opencode(home: Path, url: str) -> dict[str, str]:
    model = {
        "name": "m",
        "tool_call": True,
        "limit": {"context": 200_000, "output": 8_000},
        "cost": {"input": 1, "output": 5, "cache_read": 0.1},
    }
    options = {"baseURL": f"{url}/v1", "apiKey": "made-up"}
    provider = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {"m": model}}
    config = {"model": "scripted/m", "small_model": "scripted/m", "provider": {"scripted": provider}}
    return {"OPENCODE_CONFIG_CONTENT": json.dumps(config), "OPENCODE_DISABLE_MODELS_FETCH": "1"}


def _gemini(home: Path, url: str) -> dict[str, str]:
    (home / ".gemini").mkdir(exist_ok=True)
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False}}
    (home / ".gemini" / "settings.json").write_text(json.dumps(settings))
    return {"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": "made-up"}


AGENTS = (
    RealAgent("claude", None, ["Bash"], {"permission_mode": "default"}, _claude),
    RealAgent("codex", None, [], {"permission_mode": "read-only"}, _codex),
    RealAgent("opencode", None, ["bash"], {}, _opencode),
    RealAgent("gemini", "gemini-2.5-pro", ["run_shell_command"], {}, _gemini),
)


def settings(agent: RealAgent, url: str, *, shell: bool = True, **more: object) -> AgentSettings:
    """The settings with which an agent works against a model server, in a home of its own that its sessions live in."""
    home = _CACHE / "homes" / agent.name
    home.mkdir(parents=True, exist_ok=True)
    xdg = {f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "STATE", "CACHE")}
    env = {"HOME": str(home), **xdg, **agent.configure(home, url)}
    tools = agent.shell if shell else []
    return AgentSettings(command=[str(installed(agent.name))], env=env, allowed_tools=tools, **more)  # type: ignore[arg-type]


def installed(name: str) -> Path:
    """The program of an agent. Skips the test, loudly, where it cannot be had."""
    package = PACKAGES[name]
    folder = _CACHE / f"{name}-{package.rpartition('@')[2]}"
    program = folder / "node_modules" / ".bin" / name
    if program.exists():
        return program
    npm = _npm()
    if npm is None:
        _skip(f"npm is not here and cannot be installed: the REAL {name} was NOT tested")
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [str(npm), "install", "--no-audit", "--no-fund", "--prefix", str(folder), package],
        check=False,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
    )
    if done.returncode != 0:
        _skip(f"npm could not install {package}: the REAL {name} was NOT tested: {done.stderr[-300:]}")
    return program


def _skip(reason: str) -> None:
    warnings.warn(reason, stacklevel=1)
    pytest.skip(reason)


def _npm() -> str | None:
    found = shutil.which("npm")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=False, capture_output=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "npm"], check=False, capture_output=True)
        found = shutil.which("npm")
    return found
