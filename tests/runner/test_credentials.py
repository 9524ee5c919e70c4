"""Keys by reference: found at the last moment, given to one attempt, and nobody else's beside them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from engine.agents.base import Launch
from engine.agents.logins import LOGINS, complaints
from engine.config import AccountSettings, AgentSettings, KeyReference
from engine.errors import CredentialError
from engine.runner.credentials import Held, exposed, held, resolve
from engine.runner.environment import environment

KEY = "sk-made-up-for-a-test"
PLAIN = Launch(argv=["true"])
OWN = {
    "PATH": os.environ["PATH"],
    "ANTHROPIC_API_KEY": "sk-the-other-one",
    "CLAUDE_CODE_OAUTH_TOKEN": "the-other-login",
    "WORK_KEY": KEY,
}


def test_a_reference_says_nothing_of_the_key() -> None:
    assert KEY not in repr(Held({"ANTHROPIC_API_KEY": KEY}, frozenset(), frozenset({KEY})))


async def test_a_key_comes_from_a_variable_a_file_or_a_program(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    for reference in (
        KeyReference(env="WORK_KEY"),
        KeyReference(file=str(file)),
        KeyReference(command=[sys.executable, "-c", f"print({KEY!r})"]),
    ):
        assert await resolve(reference, OWN) == KEY


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (KeyReference(env="NO_SUCH"), "the variable NO_SUCH of the engine's environment holds no key"),
        (KeyReference(file="/nowhere/key"), "/nowhere/key is not there"),
        (KeyReference(file="~nobody-of-that-name/key"), "nobody of that name has a home here"),
        (KeyReference(command=["/nowhere/pass"]), "the command pass for a key does not start"),
        (KeyReference(command=["sh", "-c", f"echo {KEY}; exit 3"]), "the command sh for a key failed: exit 3"),
        (KeyReference(command=["echo", KEY, "and more"]), "what the command echo printed holds something else"),
    ],
)
async def test_a_key_that_is_not_there_is_said_without_quoting_anything(reference: KeyReference, said: str) -> None:
    with pytest.raises(CredentialError) as error:
        await resolve(reference, OWN)
    assert said in str(error.value)
    assert KEY not in str(error.value)


async def test_a_file_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CredentialError, match="not there, or cannot be read"):
        await resolve(KeyReference(file=str(tmp_path / "pipe")), {})


def test_a_file_that_others_can_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(0o640)
    assert "chmod 600" in (exposed(file) or "")
    file.chmod(0o600)
    assert exposed(file) is None


async def _seen(account: AccountSettings, settings: AgentSettings | None = None) -> dict[str, str]:
    login = LOGINS[account.agent]
    given = await held(account.agent, PLAIN, account, OWN)
    return environment(OWN, login.credentials, {}, settings or AgentSettings(), 1, "m", account, given)


async def test_an_account_with_a_key_cannot_make_another_one_pay() -> None:
    account = AccountSettings(agent="claude", key=KeyReference(env="WORK_KEY"))
    seen = await _seen(account, AgentSettings(env={"ANTHROPIC_AUTH_TOKEN": "of-the-settings"}))
    assert seen["ANTHROPIC_API_KEY"] == KEY
    assert not {"CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN", "WORK_KEY"} & seen.keys()


async def test_an_account_with_a_login_gets_no_key_at_all(tmp_path: Path) -> None:
    seen = await _seen(AccountSettings(agent="claude", config_dir=str(tmp_path)))
    assert seen["CLAUDE_CONFIG_DIR"] == str(tmp_path)
    assert not {"ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"} & seen.keys()


async def test_what_an_account_says_itself_is_not_withheld(tmp_path: Path) -> None:
    own = {"ANTHROPIC_AUTH_TOKEN": "its-own"}
    seen = await _seen(AccountSettings(agent="claude", config_dir=str(tmp_path), env=own))
    assert seen["ANTHROPIC_AUTH_TOKEN"] == "its-own"


async def test_a_key_may_go_into_another_variable() -> None:
    reference = KeyReference(env="WORK_KEY", variable="CLAUDE_CODE_OAUTH_TOKEN")
    seen = await _seen(AccountSettings(agent="claude", key=reference))
    assert seen["CLAUDE_CODE_OAUTH_TOKEN"] == KEY
    assert "ANTHROPIC_API_KEY" not in seen


async def test_an_agent_of_the_protocol_gets_its_accounts_key_where_the_account_says_and_no_other() -> None:
    account = AccountSettings(agent="acp", key=KeyReference(env="WORK_KEY", variable="GEMINI_API_KEY"))
    assert not list(complaints("work", account))
    got = await held("acp", PLAIN, account, OWN)
    assert got.env == {"GEMINI_API_KEY": KEY}
    assert got.withheld >= {"GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS"}
    (complaint,) = complaints("work", AccountSettings(agent="acp", key=KeyReference(env="WORK_KEY")))
    assert complaint == (("accounts", "work", "key"), "say in which variable acp takes it: key.variable")


async def test_opencode_is_pointed_to_folders_below_its_own(tmp_path: Path) -> None:
    seen = await _seen(AccountSettings(agent="opencode", config_dir=str(tmp_path)))
    assert seen["XDG_DATA_HOME"] == f"{tmp_path}/data"
    assert seen["XDG_CONFIG_HOME"] == f"{tmp_path}/config"


async def test_a_folder_that_is_not_there_says_how_to_sign_in() -> None:
    with pytest.raises(CredentialError, match="CODEX_HOME=/nowhere codex login"):
        await held("codex", PLAIN, AccountSettings(agent="codex", config_dir="/nowhere"), OWN)


async def test_without_an_account_the_attempts_own_keys_are_filled_in() -> None:
    launch = Launch(argv=["true"], keys={"HEADWAY_LLM_KEY": KeyReference(env="WORK_KEY")})
    assert (await held("llm", launch, None, OWN)).env == {"HEADWAY_LLM_KEY": KEY}
    other = AccountSettings(agent="llm", provider="local", key=KeyReference(env="ANTHROPIC_API_KEY"))
    launch = Launch(
        argv=["true"], keys={"HEADWAY_LLM_KEY": KeyReference(env="WORK_KEY")}, key_variable="HEADWAY_LLM_KEY"
    )
    assert (await held("llm", launch, other, OWN)).env == {"HEADWAY_LLM_KEY": "sk-the-other-one"}


@pytest.mark.parametrize(
    ("account", "said"),
    [
        (AccountSettings(agent="shell", config_dir="/x"), "shell has no folder"),
        (AccountSettings(agent="llm", key=KeyReference(env="K")), "whose key it is"),
        (AccountSettings(agent="claude", provider="anthropic"), "only an account of llm"),
        (AccountSettings(agent="opencode", config_dir="/x", key=KeyReference(env="K")), "key.variable"),
        (AccountSettings(agent="gemini", key=KeyReference(env="K")), "with config_dir"),
    ],
)
def test_an_account_that_could_not_work_is_refused(account: AccountSettings, said: str) -> None:
    assert any(said in why for _, why in complaints("work", account))


@pytest.mark.parametrize("agent", sorted(LOGINS))
def test_what_points_to_a_login_is_known_and_what_could_pay_is_withheld(agent: str) -> None:
    login = LOGINS[agent]
    assert (login.root in login.directory) is bool(login.directory)
    assert login.key is None or login.key in login.credentials
    assert not list(complaints("work", AccountSettings(agent=agent)))
