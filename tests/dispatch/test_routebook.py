"""Which route a job takes, what a target lacks for it, and where private projects may go."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engine.agents.registry import agents
from engine.config import Settings
from engine.dispatch.routebook import Routebook, Traits, first, too_small
from engine.errors import UsageError
from engine.model import JobSpec, Target

SAID: dict[str, Any] = {
    "agents": {"claude": {"model": "opus"}, "llm": {"providers": {"here": {"base_url": "http://127.0.0.1:8000/v1"}}}},
    "accounts": {"spare": {"agent": "claude", "env": {"ANTHROPIC_BASE_URL": "https://proxy.corp.example/v1"}}},
    "projects": {
        "api": {"path": "/src/api"},
        "secret": {"path": "/src/secret", "private": True, "providers": ["anthropic", "corp"]},
        "here": {"path": "/src/here", "private": True},
    },
    "routes": {
        "named": {"targets": ["codex"]},
        "safe": {"targets": ["claude"], "match": [{"tag": ["security", "keys"]}, {"project": "api", "kind": "fix"}]},
        "big": {"targets": ["codex:max"], "match": {"prompt_over": 100}},
        "quick": {"targets": ["llm:ollama/q"], "match": {"class": "quick"}, "then": "named"},
        "rest": {"targets": ["claude:haiku", "claude"], "match": {}},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def book() -> Routebook:
    return Routebook.of(msgspec.convert(SAID, Settings), agents())


@pytest.mark.parametrize(
    ("traits", "route"),
    [
        (Traits(tags=frozenset({"keys", "x"})), "safe"),
        (Traits(project="/src/api", kind="fix"), "safe"),
        (Traits(project="/src/api", kind="docs"), "rest"),
        (Traits(tokens=101, triage="quick"), "big"),
        (Traits(tokens=100, triage="quick"), "quick"),
        (Traits(), "rest"),
    ],
)
def test_the_first_that_matches_counts(book: Routebook, traits: Traits, route: str) -> None:
    found = book.match(traits)
    assert found.route is not None
    assert found.route.name == route


def test_why_a_route_is_taken_and_why_each_earlier_one_is_not(book: Routebook) -> None:
    assert book.match(Traits(kind="docs", triage="quick", tokens=7)).why == (
        "it does not match safe: it has no tag security or keys; its project is none of api",
        "it does not match big: its prompt has about 7 tokens",
        "it matches quick: class quick",
    )


def test_a_target_without_a_model_has_that_of_its_agent_and_what_follows_comes_after(book: Routebook) -> None:
    assert [str(one) for one in book.routes["rest"].targets] == ["claude:haiku", "claude:opus"]
    assert [str(one) for one in book.routes["quick"].targets] == ["llm:ollama/q", "codex"]


def test_a_job_begins_at_the_first_target_that_can_do_what_it_needs(book: Routebook) -> None:
    quick = book.routes["quick"]
    assert str(first(book, quick, JobSpec(prompt="x"), None)) == "llm:ollama/q"
    assert str(first(book, quick, JobSpec(prompt="x", agent="codex"), None)) == "codex"
    with pytest.raises(UsageError, match="gemini is no target of route quick: llm:ollama/q, codex"):
        first(book, quick, JobSpec(prompt="x", agent="gemini"), None)
    with pytest.raises(UsageError, match="codex takes no schema"):
        first(book, book.routes["named"], JobSpec(prompt="x", schema={"type": "object"}), None)


def test_what_a_route_needs_is_held_against_each_target() -> None:
    said = {
        **SAID,
        "routes": {"r": {"targets": ["llm:ollama/q", "codex", "claude"], "needs": {"tools": True, "ask": True}}},
    }
    own = Routebook.of(msgspec.convert(said, Settings), agents())
    route = own.routes["r"]
    lacks = [own.lacks(one, route.needs, JobSpec(prompt="x"), None) for one in route.stations]
    assert lacks == ["llm has no tools", "codex cannot ask while it works", ""]


@pytest.mark.parametrize(
    ("needed", "tokens", "window", "fits"),
    [(None, 10, None, True), (None, 10, 9, False), (100, 10, None, False), (100, 10, 99, False), (100, 10, 100, True)],
)
def test_a_window_has_to_be_known_where_one_is_needed(
    needed: int | None, tokens: int, window: int | None, fits: bool
) -> None:
    assert (too_small(needed, tokens, window) == "") is fits


@pytest.mark.parametrize(
    ("target", "provider"),
    [
        ("claude", "anthropic"),
        ("claude@spare", "proxy.corp.example"),
        ("codex", "openai"),
        ("gemini", "google"),
        ("acp", "google"),
        ("opencode:openrouter/x", "openrouter"),
        ("opencode", None),
        ("llm:openai/gpt", "openai"),
        ("llm:ollama/q", "local"),
        ("llm:here/q", "local"),
        ("llm:nobody/q", None),
        ("shell", "local"),
        ("rehearsal", "local"),
    ],
)
def test_whose_servers_are_told_what_a_job_says(book: Routebook, target: str, provider: str | None) -> None:
    assert book.privacy.provider(Target.parse(target)) == provider


@pytest.mark.parametrize(
    ("environ", "provider"),
    [
        ({"ANTHROPIC_BASE_URL": "http://localhost:9/"}, "local"),
        ({"CLAUDE_CODE_USE_BEDROCK": "1"}, "bedrock"),
        ({"CLAUDE_CODE_USE_VERTEX": "0"}, "anthropic"),
        ({"ANTHROPIC_BASE_URL": "nonsense"}, None),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}, "anthropic"),
    ],
)
def test_the_engines_own_environment_may_send_an_agent_elsewhere(environ: dict[str, str], provider: str | None) -> None:
    own = Routebook.of(msgspec.convert(SAID, Settings), agents(), environ)
    assert own.privacy.provider(Target("claude")) == provider


def test_a_model_call_may_be_sent_elsewhere_by_it_too() -> None:
    environ = {"OPENAI_BASE_URL": "https://elsewhere.example/v1"}
    own = Routebook.of(msgspec.convert(SAID, Settings), agents(), environ)
    found = [own.privacy.provider(Target.parse(one)) for one in ("llm:openai/gpt", "llm:anthropic/x", "llm:here/q")]
    assert found == ["elsewhere.example", "anthropic", "local"]


def test_a_private_project_keeps_to_its_providers_and_one_without_any_to_this_machine(book: Routebook) -> None:
    def goes(target: str, project: str | None) -> bool:
        return not book.privacy.barred(Target.parse(target), project)

    assert [goes(one, "/src/secret") for one in ("claude", "llm:anthropic/x", "codex", "opencode", "llm:ollama/q")] == [
        True, True, False, False, True,
    ]  # fmt: skip
    assert [goes(one, "/src/here") for one in ("claude", "llm:here/x", "shell")] == [False, True, True]
    assert all(goes(one, project) for one in ("codex", "opencode") for project in ("/src/api", None))
    why = book.privacy.barred(Target("codex"), "/src/secret")
    assert why == "codex is openai's, and the project secret is private: its jobs stay with anthropic, corp"


def test_a_tap_that_leads_elsewhere_is_elsewhere() -> None:
    key = {"env": "KEY"}
    tapped = {"far": "https://relay.example/v1", "near": "http://127.0.0.1:8000"}
    accounts: dict[str, Any] = {
        name: {"agent": "claude", "key": key, "tap": {"upstream": url}} for name, url in tapped.items()
    }
    said = {**SAID, "accounts": {**accounts, "usual": {"agent": "claude", "key": key, "tap": True}}}
    own = Routebook.of(msgspec.convert(said, Settings), agents())
    found = [own.privacy.provider(Target("claude", None, name)) for name in ("far", "near", "usual")]
    assert found == ["relay.example", "local", "anthropic"]
    assert own.privacy.barred(Target("claude", None, "far"), "/src/secret")
