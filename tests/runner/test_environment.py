"""What an agent sees: an allow-list, what its adapter and its settings say, and nothing of ours besides."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from engine.config import BASE_ENVIRONMENT, AccountSettings, AgentSettings
from engine.runner.environment import environment
from engine.runner.tree import MARKER

OWN = {"PATH": "/bin", "HOME": "/nest", "AWS_SECRET_ACCESS_KEY": "s", "ANTHROPIC_API_KEY": "k", "EXTRA": "e"}


def test_secrets_of_the_engine_do_not_reach_an_agent_that_was_not_given_them() -> None:
    seen = environment(OWN, (), {}, AgentSettings(), 7, "m")
    assert seen == {"PATH": "/bin", "HOME": "/nest", "HEADWAY_JOB": "7", MARKER: "m"}


def test_what_the_adapter_and_the_settings_name_is_passed_on_if_it_is_there() -> None:
    given_ = AgentSettings(pass_env=["EXTRA", "MISSING"])
    seen = environment(OWN, ("ANTHROPIC_API_KEY", "NOWHERE"), {}, given_, 7, "m")
    assert (seen["ANTHROPIC_API_KEY"], seen["EXTRA"]) == ("k", "e")
    assert not {"MISSING", "NOWHERE", "AWS_SECRET_ACCESS_KEY"} & seen.keys()


def test_the_settings_have_the_last_word_over_the_adapter_and_that_over_us() -> None:
    seen = environment(OWN, (), {"PATH": "/launch", "A": "launch"}, AgentSettings(env={"A": "settings"}), 7, "m")
    assert (seen["PATH"], seen["A"]) == ("/launch", "settings")


def test_an_account_comes_on_top_of_its_agents_own() -> None:
    agent = AgentSettings(env={"A": "agent", "B": "agent"}, pass_env=["EXTRA"])
    account = AccountSettings(agent="x", env={"A": "account"}, pass_env=["AWS_SECRET_ACCESS_KEY", "B", "MISSING"])
    seen = environment({**OWN, "B": "own"}, (), {"A": "launch"}, agent, 7, "m", account)
    assert (seen["A"], seen["B"], seen["EXTRA"]) == ("account", "own", "e")
    assert seen["AWS_SECRET_ACCESS_KEY"] == "s"
    assert "MISSING" not in seen


_NAMES = st.sampled_from([*OWN, "HEADWAY_JOB", MARKER, "X"])
_MAPS = st.dictionaries(_NAMES, st.text(max_size=3))


_ACCOUNTS = st.none() | st.builds(AccountSettings, agent=st.just("x"), env=_MAPS, pass_env=st.lists(_NAMES))


@given(_MAPS, st.lists(_NAMES), _MAPS, _MAPS, st.lists(_NAMES), _ACCOUNTS)
def test_nothing_comes_through_unasked_and_nobody_takes_the_marker(
    own: dict[str, str],
    passed: list[str],
    launch: dict[str, str],
    env: dict[str, str],
    pass_env: list[str],
    account: AccountSettings | None,
) -> None:
    seen = environment(own, passed, launch, AgentSettings(env=env, pass_env=pass_env), 7, "m", account)
    assert (seen["HEADWAY_JOB"], seen[MARKER]) == ("7", "m")
    more = {*account.env, *account.pass_env} if account else set()
    asked = {*BASE_ENVIRONMENT, *passed, *launch, *env, *pass_env, *more, "HEADWAY_JOB", MARKER}
    assert set(seen) <= asked
