"""Which agents are here and whether their accounts are signed in; and keys that stand where they should not."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from engine.accounts import DEFAULT, survey, warnings
from engine.agents.registry import agents
from engine.config import AccountSettings, AgentSettings, KeyReference, ProviderSettings, Settings
from engine.drift import drift
from engine.errors import NotFoundError
from engine.model import AccountStatus, AgentStatus
from engine.store.schema import migrate, migrations

KEY = "sk-made-up-for-a-test"


@pytest.fixture
def own(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "user"), "PATH": "/usr/bin:/bin"}


async def _one(settings: Settings, own: dict[str, str], name: str, *, check: bool = True) -> AgentStatus:
    (found,) = await survey(settings, agents(), own, name=name, check=check)
    assert KEY not in repr(found)
    return found


def _named(found: AgentStatus) -> dict[str, AccountStatus]:
    return {account.name: account for account in found.accounts}


async def test_an_agents_own_login_is_found_where_it_keeps_it(own: dict[str, str], tmp_path: Path) -> None:
    assert _named(await _one(Settings(), own, "claude"))[DEFAULT].ok is None
    folder = tmp_path / "user" / ".claude"
    folder.mkdir(parents=True)
    login = {"claudeAiOauth": {"accessToken": KEY, "refreshToken": KEY, "subscriptionType": "max"}}
    (folder / ".credentials.json").write_text(json.dumps(login))
    (folder / ".credentials.json").chmod(0o644)
    found = _named(await _one(Settings(), own, "claude"))[DEFAULT]
    assert found.ok
    assert found.found == f"a login (max) in {folder}/.credentials.json"
    assert "chmod 600" in found.mend
    key = {**own, "ANTHROPIC_API_KEY": KEY}
    assert _named(await _one(Settings(), key, "claude"))[DEFAULT].found == "a key in ANTHROPIC_API_KEY"


async def test_each_account_is_looked_at_in_its_own_place(own: dict[str, str], tmp_path: Path) -> None:
    signed_in, empty = tmp_path / "a", tmp_path / "b"
    signed_in.mkdir()
    empty.mkdir()
    (signed_in / ".credentials.json").write_text(json.dumps({"claudeAiOauth": {"accessToken": KEY, "expiresAt": 1}}))
    settings = Settings(
        accounts={
            "old": AccountSettings(agent="claude", config_dir=str(signed_in)),
            "new": AccountSettings(agent="claude", config_dir=str(empty)),
            "gone": AccountSettings(agent="claude", key=KeyReference(file=str(tmp_path / "none"))),
            "here": AccountSettings(agent="claude", key=KeyReference(env="WORK_KEY")),
            "asked": AccountSettings(agent="claude", key=KeyReference(command=["echo", KEY])),
        }
    )
    found = _named(await _one(settings, {**own, "WORK_KEY": KEY}, "claude"))
    assert {name: one.ok for name, one in found.items()} == {
        DEFAULT: None, "old": False, "new": False, "gone": False, "here": True, "asked": True,
    }  # fmt: skip
    assert "expired" in found["old"].found
    assert f"CLAUDE_CONFIG_DIR={empty} claude" in found["new"].mend
    assert found["here"].found == "a key in WORK_KEY"


async def test_a_program_that_prints_a_key_is_only_run_where_that_is_asked_for(
    own: dict[str, str], tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    command = ["sh", "-c", f"touch {ran}; echo {KEY}"]
    settings = Settings(accounts={"work": AccountSettings(agent="claude", key=KeyReference(command=command))})
    assert "not asked" in _named(await _one(settings, own, "claude", check=False))["work"].found
    assert not ran.exists()
    assert _named(await _one(settings, own, "claude"))["work"].ok
    assert ran.exists()


async def test_llm_tells_of_each_provider(own: dict[str, str]) -> None:
    local = ProviderSettings(base_url="http://127.0.0.1:1/v1", key=KeyReference(env="LOCAL"))
    settings = Settings(agents={"llm": AgentSettings(providers={"local": local})})
    found = await _one(settings, {**own, "OPENAI_API_KEY": KEY}, "llm")
    status = {name: one.ok for name, one in _named(found).items()}
    assert status == {"anthropic/": None, "openai/": True, "google/": None, "ollama/": True, "local/": False}
    assert "anthropic" in (found.version or "")


async def test_a_program_tells_its_version_or_why_not(own: dict[str, str], tmp_path: Path) -> None:
    program = tmp_path / "claude"
    program.write_text("#!/bin/sh\necho 2.1.330\n")
    program.chmod(0o755)
    settings = Settings(agents={"claude": AgentSettings(command=[str(program)])})
    assert (await _one(settings, own, "claude")).version == "2.1.330"
    settings = Settings(agents={"claude": AgentSettings(command=["/nowhere/claude"])})
    found = await _one(settings, own, "claude")
    assert (found.version, found.problem) == (None, "/nowhere/claude is not installed")


async def test_an_agent_that_is_not_there_gets_the_nearest(own: dict[str, str]) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'claude'"):
        await survey(Settings(), agents(), own, name="claud", check=True)


def test_a_key_in_the_settings_or_in_a_readable_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(0o644)
    settings = Settings(
        agents={
            "claude": AgentSettings(env={"ANTHROPIC_API_KEY": KEY, "LANG": "C.UTF-8", "FOO": f"{KEY}"}),
            "llm": AgentSettings(providers={"local": ProviderSettings(key=KeyReference(file=str(file)))}),
        },
        accounts={"work": AccountSettings(agent="claude", env={"CLAUDE_CONFIG_DIR": "/home/you/.claude-work-folder"})},
    )
    found = [one.found for one in warnings(settings, None)]
    assert len(found) == 3
    assert "agents.claude.env.ANTHROPIC_API_KEY" in found[0]
    assert "agents.claude.env.FOO" in found[1]
    assert str(file) in found[2]
    assert not any(KEY in one for one in found)


def test_unknown_lines_are_summed_by_agent_and_version(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "headway.db", isolation_level=None)
    migrate(connection, migrations())
    for job in (1, 2, 3):
        connection.execute(
            "INSERT INTO jobs (id, state, title, agent, priority, created_at, spec_seq) VALUES (?, 'ready', 't', "
            "'claude', 5, 0, 1)",
            (job,),
        )
    for job, session, lines in ((1, "a", 2), (2, "b", 5), (3, "b", 0), (3, None, 1)):
        connection.execute(
            "INSERT INTO attempts (job, number, agent, marker, engine, created_at, session, unknown_lines) "
            "VALUES (?, ?, 'claude', 'm', 'e', 0, ?, ?)",
            (job, lines + 1, session, lines),
        )
    for session in ("a", "b"):
        connection.execute(
            "INSERT INTO sessions (id, agent, workspace, agent_version, created_at, used_at) "
            "VALUES (?, 'claude', '/', '2.1.330', 0, 0)",
            (session,),
        )
    assert [str(one) for one in drift(connection)] == [
        "claude: 1 unknown lines in 1 attempts, J3 last",
        "claude 2.1.330: 7 unknown lines in 2 attempts, J2 last",
    ]
    connection.close()
