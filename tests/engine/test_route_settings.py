"""`routes:` and what projects say of providers: every mistake with its line, its key and the nearest right word."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.agents.registry import read_settings
from engine.config import load_settings
from engine.errors import UsageError

AGENTS = ["claude", "codex", "llm", "shell"]
GOOD = """\
accounts:
  work: {agent: claude}
routes:
  careful:
    match: {project: /src/api, class: big, prompt_over: 2000}
    targets:
      - claude:opus@work
      - {target: codex:gpt, context: 400000, cost: 0.5}
    then: cheap
    limit: reroute
    max_added_cost: 2
    card: {timeout: 10m, default: stop}
  cheap:
    targets: [llm:ollama/qwen3]
"""


def told(tmp_path: Path, text: str) -> str:
    path = tmp_path / "headway.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_settings(path, AGENTS)
    return caught.value.message


def test_a_route_is_read_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "headway.yaml"
    path.write_text(GOOD)
    route = load_settings(path, AGENTS).routes["careful"]
    assert [one.target for one in route.named] == ["claude:opus@work", "codex:gpt"]
    assert route.matches[0].class_ == "big"


@pytest.mark.parametrize(
    ("was", "now", "line", "says"),
    [
        ("claude:opus@work", "clude:opus", 7, "there is no agent 'clude'; did you mean 'claude'?"),
        ("claude:opus@work", "claude:opus@wrok", 7, "claude has no account 'wrok'; did you mean 'work'?"),
        ("codex:gpt, context", "codex@main, context", 8, "codex has no account 'main'"),
        ("claude:opus@work", "shell", 7, "shell runs command lines and not prompts"),
        ("{target: codex:gpt, context: 400000, cost: 0.5}", "claude:opus@work", 8, "stands here twice"),
        ("then: cheap", "then: cheep", 9, "there is no route 'cheep'; did you mean 'cheap'?"),
        ("limit: reroute", "limit: rerout", 10, "'rerout' is not valid; did you mean 'reroute'?"),
        ("max_added_cost: 2", "max_added_cost: -2", 11, "routes.careful.max_added_cost"),
        ("cost: 0.5", "cost: -0.5", 8, "cost"),
        ("timeout: 10m", "timeout: soon", 12, "'soon' is no span of time"),
        ("default: stop", "default: stopp", 12, "did you mean 'stop'?"),
        ("class: big", "clas: big", 5, "no key 'clas'; did you mean 'class'?"),
        ("project: /src/api", "project: apis", 5, "there is no project 'apis'"),
        ("prompt_over: 2000", "prompt_over: 9, prompt_under: 9", 5, "no prompt is over 9 and under 9 tokens"),
        ("    limit: reroute", "    limits: reroute", 10, "no key 'limits'; did you mean 'limit'?"),
        ("  cheap:\n", "  careful:\n", 13, "'careful' stands here twice"),
        ("[llm:ollama/qwen3]", "[]", 14, "routes.cheap.targets"),
    ],
)
def test_each_mistake_is_told_with_its_line(tmp_path: Path, was: str, now: str, line: int, says: str) -> None:
    assert was in GOOD
    message = told(tmp_path, GOOD.replace(was, now, 1))
    assert f"line {line}: " in message
    assert says in message


def test_a_circle_is_told_once_with_its_names(tmp_path: Path) -> None:
    text = (
        GOOD + "    then: last\n  last: {targets: [claude], then: careful}\n  other: {targets: [codex], then: last}\n"
    )
    message = told(tmp_path, text)
    assert message.count("in a circle") == 1
    assert "careful -> cheap -> last -> careful" in message


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("claude:opus@work\n", "clude:opus\n", 1).replace("then: cheap", "then: cheep")
    lines = told(tmp_path, text.replace("limit: reroute", "limit: go")).splitlines()
    assert len(lines) == 3


def test_a_model_that_its_agent_cannot_ask_for_is_told(tmp_path: Path) -> None:
    path = tmp_path / "headway.yaml"
    path.write_text("routes:\n  cheap:\n    targets: [llm:olama/qwen3]\n")
    with pytest.raises(UsageError) as caught:
        read_settings(path)
    assert "line 3: routes.cheap.targets: llm:olama/qwen3: llm: there is no provider 'olama'" in caught.value.message


def test_a_provider_that_is_nearly_one_is_told(tmp_path: Path) -> None:
    message = told(tmp_path, "projects:\n  api:\n    path: /src\n    private: true\n    providers: [antropic]\n")
    assert "line 5: projects.api.providers: 'antropic' is no provider; did you mean 'anthropic'?" in message
