"""What a starting engine does with an attempt that an earlier one left without an end. Pure."""

from __future__ import annotations

from enum import StrEnum

from engine.runner.run_dir import Claimed


class Finding(StrEnum):
    """What became of an attempt while no engine looked."""

    ADOPT = "adopt"
    """Its shim still runs: follow it."""
    SETTLE = "settle"
    """It ended and wrote how: settle it from its files."""
    NEVER_STARTED = "never_started"
    """No process of it ever ran, and none will."""
    LOST = "lost"
    """Its shim is gone without a word: the machine went down, or it was killed."""


def finding(claimed: Claimed, exit_code: int | None, shim_alive: bool) -> Finding:
    """Judge by the run's files. Call it with the claim voided if nobody had made it."""
    if claimed in (Claimed.NEVER, Claimed.VOIDED):
        return Finding.NEVER_STARTED
    if exit_code is not None:
        return Finding.SETTLE
    return Finding.ADOPT if shim_alive else Finding.LOST
