"""An attempt that an engine looks after, and what it is looked after with."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from engine.dispatch.settling import Rules
from engine.hub import Hub
from engine.runner.attending import Attendant
from engine.runner.follow import Follower
from engine.runner.ground import Ground
from engine.runner.launch import Launcher
from engine.runner.run_dir import RunDir
from engine.runner.watch import Watch
from engine.spend.prices import Prices
from engine.store import (
    Store,
)
from engine.store.claims import Claim


@dataclass(slots=True)
class Live:
    """An attempt that this engine looks after."""

    claim: Claim
    run: RunDir
    stop_asked: asyncio.Event = field(default_factory=asyncio.Event)
    begun: bool = False
    """A process of it was started."""
    session: str | None = None
    """The conversation that it was started with."""
    watch: Watch | None = None
    ground: Ground | None = None
    """Where its processes are, once it has begun."""
    attendant: Attendant | None = None
    """Of an attempt that can be answered."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the runner works with; one set for an engine."""

    home: Path
    store: Store
    hub: Hub
    follower: Follower
    launcher: Launcher
    boot: str
    """Names this engine process in the attempts that it claims."""
    grace: float
    """Seconds between asking a tree to end and killing it."""
    rules: Rules
    prices: Prices
    subreaper: bool = False
