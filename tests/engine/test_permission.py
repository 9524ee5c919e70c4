"""What a rule is about, and who decides on the tools of a job."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.config import AgentSettings, ProjectSettings, Settings, load_settings
from engine.decision import Choice, Effect, Rule
from engine.errors import RefusedError, UsageError
from engine.model import Permission
from engine.permission import Policy, Use, chosen, configured, matches, subject_of_path, verdict


def bash(command: str, project: str | None = "/api") -> Use:
    return Use("Bash", command, 1, project, shell=True)


@pytest.mark.parametrize(
    ("pattern", "command", "fits"),
    [
        ("*", "rm -rf / ; anything", True),
        ("git push *", "git push origin main", True),
        ("git push *", "git push", False),
        ("git push*", "git push", True),
        ("git *", "git status; rm -rf ~", False),
        ("git *", "git log | tee x", False),
        ("git *", "git log\nrm x", False),
        ("git *", "git $(rm x)", False),
        ("git *", "git log > ~/.bashrc", False),
        ("make ?", "make a", True),
        ("make ?", "make ;", False),
        ("echo a; echo b", "echo a; echo b", True),
        ("echo a; echo *", "echo a; echo c", True),
        ("[a]", "a", False),
        ("git.status", "git status", False),
    ],
)
def test_a_wildcard_that_allows_covers_one_command(pattern: str, command: str, fits: bool) -> None:
    assert matches(Rule(tool="Bash", pattern=pattern), bash(command)) is fits


def test_a_wildcard_that_denies_covers_everything() -> None:
    rule = Rule(tool="Bash", pattern="*git push*", effect=Effect.DENY)
    assert matches(rule, bash("cd x && git push --force; true"))


@given(st.text(max_size=20), st.sampled_from(list(";&|<>$`()\\\n\r")), st.text(max_size=20))
def test_whatever_is_put_behind_it_a_wildcard_allows_no_second_command(before: str, sign: str, behind: str) -> None:
    assert not matches(Rule(tool="Bash", pattern="git *"), bash(f"git {before}{sign}{behind}"))


def test_what_denies_goes_before_what_allows_and_the_newest_before_the_older() -> None:
    old, new = Rule(tool="Bash", pattern="git *", id=1), Rule(tool="B*", id=2)
    never = Rule(tool="*", pattern="*push*", effect=Effect.DENY, id=3)
    assert verdict(bash("git log"), [new, old, never]) is new
    assert verdict(bash("git push"), [new, old, never]) is never
    assert verdict(bash("git push"), []) is None


def test_a_rule_holds_in_its_project_or_its_job_alone() -> None:
    assert not matches(Rule(tool="Bash", project="/web"), bash("ls"))
    assert not matches(Rule(tool="Bash", job=2), bash("ls"))
    assert matches(Rule(tool="Bash", project="/api", job=1), bash("ls"))


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/w/src/a.py", "src/a.py"),
        ("src/a.py", "src/a.py"),
        ("/w/src/../../etc/passwd", "/etc/passwd"),
        ("../x", "/x"),
        ("/wide/a", "/wide/a"),
        ("/w", "."),
    ],
)
def test_a_path_is_seen_from_the_workspace_and_leads_where_it_leads(path: str, seen: str) -> None:
    assert subject_of_path(path, "/w") == seen


SETTINGS = Settings(
    agents={"claude": AgentSettings(permission=Permission.ASK)},
    projects={
        "api": ProjectSettings(path="/api", permission=Permission.PRESET),
        "box": ProjectSettings(path="/box", allow_bypass=True),
    },
)


@pytest.mark.parametrize(
    ("asked", "agent", "directory", "found"),
    [
        (None, "claude", None, Permission.ASK),
        (None, "rehearsal", None, Permission.PRESET),
        (None, "claude", "/api", Permission.PRESET),
        (Permission.ASK, "claude", "/api", Permission.ASK),
        (Permission.BYPASS, "claude", "/box", Permission.BYPASS),
    ],
)
def test_the_nearest_word_counts(
    asked: Permission | None, agent: str, directory: str | None, found: Permission
) -> None:
    assert chosen(asked, agent, directory, SETTINGS) is found


@pytest.mark.parametrize("directory", [None, "/api", "/elsewhere"])
def test_a_bypass_needs_the_projects_word(directory: str | None) -> None:
    with pytest.raises(RefusedError, match=r"allow_bypass: true"):
        chosen(Permission.BYPASS, "claude", directory, SETTINGS)


def load(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "headway.yaml"
    path.write_text(text)
    return load_settings(path, ["claude", "shell"])


def test_rules_and_time_out_come_from_headway_yaml(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        "projects: {api: {path: /api}}\n"
        "permissions:\n  timeout: 5m\n  default: allow\n"
        "  rules: [{tool: Bash, pattern: 'git *', project: api}, {tool: WebFetch, effect: deny}]\n",
    )
    assert Policy.of(settings) == Policy(300_000, Choice.ALLOW)
    assert Policy.of(settings).due(1) == 300_001
    assert Policy(0).due(1) is None
    assert configured(settings) == [
        Rule(tool="Bash", pattern="git *", project="/api"),
        Rule(tool="WebFetch", effect=Effect.DENY),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("permissions: {default: maybe}\n", "default"),
        ("permissions: {timeout: soon}\n", "no span of time"),
        ("permissions: {rules: [{tool: Bash, project: apo}]}\nprojects: {api: {path: /api}}\n", "mean 'api'"),
        ("agents: {claude: {permission: bypass}}\n", "said for a project"),
        ("projects: {api: {path: /api, permission: bypass}}\n", "also needs allow_bypass: true"),
        ("agents: {claude: {permission: aks}}\n", "permission"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        load(tmp_path, text)
    assert "line 1" in str(refused.value)
