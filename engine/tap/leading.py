"""An attempt of an account with a tap: led to it, and given a stand-in instead of the key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.agents import tapping
from engine.agents.base import Launch
from engine.config import AccountSettings
from engine.runner.credentials import Held
from engine.tap.door import Whose
from engine.tap.tap import Tap


@dataclass(frozen=True, slots=True)
class Led:
    """How it is started."""

    launch: Launch
    held: Held
    upstream: str


def lead(
    tap: Tap,
    whose: Whose,
    launch: Launch,
    held: Held,
    account: AccountSettings,
    model: str | None,
    env: Mapping[str, str],
) -> Led:
    """Open a door for an attempt. `env` is its environment as it would be without.

    The key stays with the engine: what the agent has is worth nothing but at its own door. Raises `HeadwayError`s.
    """
    upstream = tapping.upstream(account.agent, account, model, env)
    variable, key = next((name, value) for name, value in held.env.items() if value in held.secrets)
    door = tap.open(whose, upstream, key)
    launch, more = tapping.led(account.agent, launch, model, env, tap.url(door))
    stand_in = door.stand_in.decode()
    given = {**held.env, variable: stand_in, **more}
    return Led(launch, replace(held, env=given, secrets=held.secrets | {stand_in}), upstream)
