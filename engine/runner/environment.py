"""What an agent sees of the engine's environment: nothing but an allow-list, and what its settings add."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.config import BASE_ENVIRONMENT, AccountSettings, AgentSettings
from engine.runner.credentials import Held
from engine.runner.tree import MARKER


def environment(
    own: Mapping[str, str],
    passed: Iterable[str],
    launch: Mapping[str, str],
    settings: AgentSettings,
    job: int,
    marker: str,
    account: AccountSettings | None = None,
    held: Held | None = None,
) -> dict[str, str]:
    """The environment of an attempt.

    `own` is the engine's, `passed` names what this agent needs of it, `launch` is what its adapter sets; the
    settings and then the account have the last word, except over the marker by which all processes of an attempt
    are found. What `held` withholds comes from nobody but the account.
    """
    held = held or Held()
    chosen = _present(own, (*BASE_ENVIRONMENT, *passed, *settings.pass_env))
    of_agent = {**chosen, **launch, **settings.env}
    allowed = {name: value for name, value in of_agent.items() if name not in held.withheld}
    of_account = {**_present(own, account.pass_env), **account.env} if account is not None else {}
    return {**allowed, **of_account, **held.env, "HEADWAY_JOB": str(job), MARKER: marker}


def _present(own: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    return {name: own[name] for name in names if name in own}
