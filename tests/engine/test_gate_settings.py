"""What headway.yaml may say of gates, and what is said of that."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.agents.registry import agents as all_agents
from engine.config import Settings, load_settings
from engine.dispatch.privacy import Privacy
from engine.documents import DocumentError
from engine.errors import EntryError
from engine.gate.book import Gatebook
from engine.model import JobSpec, Target
from engine.submission import accept

AGENTS = ["claude", "codex", "gemini", "shell"]


def read(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "headway.yaml"
    file.write_text(text)
    return load_settings(file, AGENTS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("gates: {none: {}}", "'none' means that there is none"),
        ("gates: {g: {reviewers: [codx]}}", "there is no agent 'codx'; did you mean 'codex'"),
        ("gates: {g: {reviewers: [shell]}}", "put a command under checks"),
        ("gates: {g: {reviewers: [codex@work]}}", "codex has no account 'work'"),
        ("gates: {g: {reviewers: 1, quorum: 2}}", "2 reviewers should approve, and there are only 1"),
        ("gates: {g: {quorum: 1}}", "and there are none"),
        ("gates: {g: {reviewers: 1, judge: claude}}", "there are no two of them"),
        ("gates: {g: {checks: [{run: x, timeout: soon}]}}", "soon"),
        ("gates: {g: {checks: [{run: x, timeout: 0}]}}", "it is 0"),
        ("gates: {g: {evidence: {files: [/etc/passwd]}}}", "leads out of the workspace"),
        ("gates: {g: {evidence: {paths: [a/../../b]}}}", "leads out of the workspace"),
        ("gates: {g: {evidence: {test: true}}}", "tests"),
        ("gates: {a: {kinds: [x]}, b: {kinds: [x]}}", "have the gate 'a' already"),
        (
            "gates: {strict: {}}\nprojects: {p: {path: /p, gate: strcit}}",
            "there is no gate 'strcit'; did you mean 'strict'",
        ),
    ],
)
def test_what_is_wrong_is_told_with_the_nearest_right_thing(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(DocumentError) as error:
        read(tmp_path, text)
    assert told in str(error.value)


def test_a_job_is_held_to_the_names_that_there_are(tmp_path: Path) -> None:
    settings = read(tmp_path, "gates: {strict: {}}")
    with pytest.raises(EntryError, match="there is no gate 'strickt'; did you mean 'strict'"):
        accept([JobSpec(prompt="p", agent="claude", gate="strickt")], settings, AGENTS, 0)
    accept([JobSpec(prompt="p", agent="claude", gate="none")], settings, AGENTS, 0)


def test_reviewers_are_chosen_among_those_that_the_settings_name_and_a_private_project_allows(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        "gates: {g: {reviewers: 2}}\nroutes: {r: {targets: [claude:opus, codex]}}\nagents: {gemini: {model: pro}}\n"
        "projects: {p: {path: /p, private: true, providers: [openai, anthropic]}}",
    )
    known = all_agents()
    book = Gatebook.of(settings, known, Privacy.of(settings, known, {}))
    gate = book.gates["g"]
    assert list(map(str, book.reviewers(gate, Target.parse("claude:opus"), None))) == ["codex", "gemini:pro"]
    assert list(map(str, book.reviewers(gate, Target.parse("claude:opus"), "/p"))) == ["codex"]
    assert list(map(str, book.reviewers(gate, Target.parse("codex"), None))) == ["claude:opus", "gemini:pro"]
