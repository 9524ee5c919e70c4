"""`headway`, with a clock that it is told: as `python -m console.cli`, and the upkeep comes every hour of that clock.

SOAK_SPEED=240 SOAK_BEGUN=<ns> python -m tests.benchmarks.soak.engine --home DIR serve
"""

from __future__ import annotations

import os

import engine.clock
from tests.benchmarks.soak.clock import SPEED, ours

UPKEEP_SECONDS = 3_600.0


def main() -> None:
    engine.clock.now_ms = ours()  # before any room has taken it from there
    from console.cli import main as headway
    from engine.upkeep.round import keep_up

    every = UPKEEP_SECONDS / float(os.environ[SPEED])
    keep_up.__kwdefaults__.update(first=every, every=every)
    headway()


if __name__ == "__main__":
    main()
