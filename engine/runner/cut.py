"""Why the engine ends an attempt: noted beside its output before the first signal is sent.

The engine may die between that signal and the settlement. The next one then finds an attempt that was ended by a
signal, and without the note could only take it for a crash, and run it again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import msgspec

from engine.model import Failure
from engine.runner.run_dir import RunDir, read_regular

logger = logging.getLogger(__name__)

NAME = "cut.json"
CUT_BYTES = 1 << 12


@dataclass(frozen=True, slots=True)
class Cut:
    """A decision to end an attempt, whatever it then says of itself."""

    failure: Failure | None
    """None where the operator asked for it."""
    reason: str
    parks: bool = False
    """It goes on later where it stands: a budget is used up."""


ASKED = Cut(None, "it was cancelled")


def note(run: RunDir, cut: Cut) -> None:
    """Write it down, whole or not at all. What has to be ended is ended all the same where that cannot be written.

    It is not synced: a power loss ends the attempt as well, and is told apart by the boot id.
    """
    temp = run.path / f"{NAME}.tmp"
    try:
        temp.unlink(missing_ok=True)
        temp.write_bytes(msgspec.json.encode(cut))
        temp.rename(run.path / NAME)
    except OSError as error:
        logger.warning("%s: why it is stopped cannot be noted: %s", run.path, error)


def noted(run: RunDir) -> Cut | None:
    """What an engine before this one had decided."""
    try:
        return msgspec.json.decode(read_regular(run.path / NAME, CUT_BYTES) or b"", type=Cut)
    except (UnicodeDecodeError, msgspec.MsgspecError):
        return None
