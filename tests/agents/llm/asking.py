"""A model call as the engine starts it: the real process with the real client library, and its lines read back."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from engine.agents.base import Assignment, Exit, Launch, Outcome
from engine.agents.events import AnyAgentEvent, Text, Thinking
from engine.agents.llm.agent import Llm
from engine.config import AgentSettings, Api, ProviderSettings
from tests.forked import CALL, forks

KEY = "sk-made-up-for-a-test"
#: An API -> a provider that speaks it, and a model of it.
PROVIDERS = {
    "messages": "anthropic/claude-sonnet-4-5",
    "responses": "openai/gpt-5",
    "gemini": "google/gemini-2.5-pro",
    "chat": "local/qwen3:8b",
}
APIS = tuple(PROVIDERS)


@dataclass
class Called:
    events: list[AnyAgentEvent]
    outcome: Outcome
    stdout: bytes
    stderr: str
    run_dir: Path

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Text))

    @property
    def thinking(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Thinking))


def settings(api: str, url: str, *, idle: str = "20s", **more: object) -> AgentSettings:
    """Settings in which the provider of an API is found at an address."""
    name = PROVIDERS[api].partition("/")[0]
    base = f"{url}/v1" if api in ("responses", "chat") else url
    speaks = Api(api) if name == "local" else None
    asked = ProviderSettings(speaks=speaks, base_url=base, idle=idle)
    return AgentSettings(providers={name: asked}, **more)  # type: ignore[arg-type]


def launch(api: str, given: AgentSettings, run_dir: Path, **more: object) -> Launch:
    model = str(more.pop("model", PROVIDERS[api]))
    prompt = str(more.pop("prompt", "Say hello."))
    return Llm().launch(
        Assignment(prompt=prompt, model=model, workspace=run_dir, run_dir=run_dir, settings=given, **more)  # type: ignore[arg-type]
    )


def call(api: str, given: AgentSettings, run_dir: Path, *, key: str | None = KEY, **more: object) -> Called:
    """Run one call to its end."""
    started = launch(api, given, run_dir, **more)
    for name, content in started.files.items():
        (run_dir / name).write_bytes(content)
    env = {"PATH": os.environ["PATH"], "HOME": str(run_dir)}
    if key is not None and started.key_variable is not None:
        env[started.key_variable] = key
    done = forks().run(started.argv[4:], env=env, timeout=60, cwd=run_dir, program=CALL)
    stdout, stderr = done.stdout.encode(), done.stderr
    parser = Llm().parser()
    events = [event for line in stdout.splitlines() for event in parser.line(line)]
    code = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return Called(events, parser.outcome(Exit(code), stderr), stdout, stderr, run_dir)
