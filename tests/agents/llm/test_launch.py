"""What a call is given, and what is refused before one starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.agents.llm.agent import Llm
from engine.config import AccountSettings, AgentSettings, Api, KeyReference, ProviderSettings
from engine.errors import UsageError
from tests.agents.llm.asking import launch


def test_the_prompt_and_the_key_are_on_no_command_line(tmp_path: Path) -> None:
    started = launch("messages", AgentSettings(), tmp_path, prompt="the prompt")
    assert list(started.argv) == [sys.executable, "-I", "-m", "engine.agents.llm.call", str(tmp_path / "call.json")]
    asked = json.loads(started.files["call.json"])
    assert (asked["provider"], asked["model"], asked["speaks"]) == ("anthropic", "claude-sonnet-4-5", "messages")
    assert asked["prompt"] == "the prompt"
    assert asked["key"] == "ANTHROPIC_API_KEY", "the name, never the key"


def test_only_the_key_of_the_provider_that_is_asked_is_passed_on(tmp_path: Path) -> None:
    assert Llm.pass_env == ()
    assert list(launch("responses", AgentSettings(), tmp_path).pass_env) == ["OPENAI_API_KEY", "OPENAI_BASE_URL"]
    assert "OPENAI_API_KEY" not in launch("gemini", AgentSettings(), tmp_path).pass_env
    mine = AgentSettings(providers={"mine": ProviderSettings(base_url="http://127.0.0.1:1/v1")})
    assert list(launch("chat", mine, tmp_path, model="mine/x").pass_env) == [], "there is no key for just anybody"


def test_no_client_library_is_loaded_where_nobody_is_asked() -> None:
    heavy = ("anthropic", "openai", "google.genai", "jsonschema", "genai_prices", "pydantic")
    look = f"import sys, engine.agents.registry; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0


def test_a_jobs_own_words_come_before_those_of_the_settings(tmp_path: Path) -> None:
    given = AgentSettings(system="settings", schema={"type": "string"}, temperature=0.5, max_tokens=9)
    asked = json.loads(launch("messages", given, tmp_path).files["call.json"])
    assert (asked["system"], asked["schema"], asked["temperature"], asked["max_tokens"]) == (
        "settings", {"type": "string"}, 0.5, 9,
    )  # fmt: skip
    job = {"type": "object"}
    asked = json.loads(launch("messages", given, tmp_path, system="job", schema=job).files["call.json"])
    assert (asked["system"], asked["schema"]) == ("job", job)


def test_a_model_may_hold_colons_and_slashes(tmp_path: Path) -> None:
    asked = json.loads(launch("chat", AgentSettings(), tmp_path, model="ollama/org/qwen3:8b").files["call.json"])
    assert (asked["provider"], asked["model"]) == ("ollama", "org/qwen3:8b")
    assert asked["base_url"] == "http://127.0.0.1:11434/v1"
    assert asked["key_needed"] is False


@pytest.mark.parametrize("model", [None, "gpt-5", "openai/", "/gpt-5"])
def test_a_model_without_a_provider_is_refused(model: str | None) -> None:
    with pytest.raises(UsageError, match="PROVIDER/MODEL"):
        Llm().accept(model, AgentSettings())


def test_an_unknown_provider_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'anthropic'"):
        Llm().accept("antropic/claude", AgentSettings())


def test_a_further_provider_needs_an_address() -> None:
    with pytest.raises(UsageError, match="base_url"):
        Llm().check(AgentSettings(providers={"mine": ProviderSettings(speaks=Api.CHAT)}))
    with pytest.raises(UsageError, match="http://"):
        Llm().check(AgentSettings(providers={"openai": ProviderSettings(base_url="127.0.0.1:8000/v1")}))


def test_a_key_goes_to_nobody_but_its_own_provider(tmp_path: Path) -> None:
    account = AccountSettings(agent="llm", provider="anthropic", key=KeyReference(env="WORK"))
    assert launch("messages", AgentSettings(), tmp_path, account=account).key_variable == "ANTHROPIC_API_KEY"
    with pytest.raises(UsageError, match="key is one of anthropic, and the model is one of openai"):
        launch("responses", AgentSettings(), tmp_path, account=account)
    with pytest.raises(UsageError, match="key is one of anthropic"):
        Llm().accept("openai/gpt-5", AgentSettings(), account)
