"""The operator's orders as the store gets them: scopes that count, and the nearest right word where one is wrong."""

from __future__ import annotations

import pytest

from engine.config import AccountSettings, ProjectSettings, Settings
from engine.errors import UsageError
from engine.orders import checked_scope

AGENTS = ["claude", "shell"]
SETTINGS = Settings(
    accounts={"work": AccountSettings(agent="claude")}, projects={"api": ProjectSettings(path="/src/api")}
)


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ("all", "all"),
        (" agent:claude ", "agent:claude"),
        ("account:work", "account:claude@work"),
        ("account:claude@work", "account:claude@work"),
        ("target:claude:opus@work", "target:claude:opus@work"),
        ("project:api", "project:/src/api"),
        ("project:/src/web", "project:/src/web"),
        ("tag:gpu", "tag:gpu"),
    ],
)
def test_a_scope_is_named_as_the_settings_name_it(said: str, counts: str) -> None:
    assert checked_scope(said, SETTINGS, AGENTS) == counts


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("everything", "there are all, agent:NAME"),
        ("tag:", "there are all, agent:NAME"),
        ("agent:claud", "there is no agent 'claud'; did you mean 'claude'?"),
        ("account:wrk", "there is no account 'wrk'; did you mean 'work'?"),
        ("project:apo", "there is no project 'apo'; did you mean 'api'?"),
    ],
)
def test_what_is_no_scope_is_said_with_the_nearest_one(said: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        checked_scope(said, SETTINGS, AGENTS)
    assert hint in str(refused.value)
