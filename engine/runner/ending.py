"""How an attempt comes to its end, by itself or because it is stopped, and what is then made of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.agents.base import Exit, Outcome
from engine.model import Failure
from engine.runner import cut as cuts
from engine.runner import procfs
from engine.runner.cut import Cut
from engine.runner.ground import Ground
from engine.runner.run_dir import RunDir
from engine.runner.watch import Watch

KILLED = 128 + signal.SIGKILL
#: An attempt that takes too much of the machine gets no more than this to end by itself: it may go on taking.
MEMORY_GRACE_SECONDS = 2.0
_GROWS = frozenset({Failure.OUT_OF_MEMORY, Failure.RESOURCE_EXCEEDED})


@dataclass(frozen=True, slots=True)
class End:
    """How a shim ended, as far as its parent can tell."""

    code: int | None = None
    """Its exit code, if it was our child."""
    stopped: bool = False
    """We ended it."""
    cut: Cut | None = None
    """Why we did, where it was not only lingering."""
    lost: str | None = None
    """Why nothing more will be heard of it."""


async def until_end(ground: Ground, run: RunDir, calls: Sequence[Coroutine[Any, Any, Cut | None]], grace: float) -> End:
    """Until a process has ended, by itself or because one of `calls` returned. Of several the first one counts."""
    over = asyncio.ensure_future(ground.ended())
    called = [asyncio.ensure_future(call) for call in calls]
    try:
        await asyncio.wait({over, *called}, return_when=asyncio.FIRST_COMPLETED)
        if over.done():
            return End(over.result())
        cut = next(call.result() for call in called if call.done())
        if cut is not None:
            cuts.note(run, cut)
        await ground.stop(grace_of(cut, grace))
        return End(await over, stopped=True, cut=cut)
    finally:
        for waiting in (over, *called):
            waiting.cancel()


def grace_of(cut: Cut | None, grace: float) -> float:
    """Seconds between asking an attempt to end and killing it."""
    return min(grace, MEMORY_GRACE_SECONDS) if cut is not None and cut.failure in _GROWS else grace


def by_limit(told: Outcome, limit: Cut | None, *, said: bool) -> Outcome:
    """The outcome of an attempt that the kernel has held to a limit. `said`: it had said before that it was done."""
    if limit is None or told.succeeded or said:
        return told
    return replace(told, failure=limit.failure, reason=limit.reason, retry_at=None)


def outcome_of(run: RunDir, watch: Watch, end: End) -> tuple[Outcome, int | None]:
    """What an attempt came to, and its exit code as far as that is known."""
    told, code = _told(run, watch, end)
    cut = end.cut
    if end.lost is not None:
        # Whatever it has said: what it did is not here.
        lost = replace(told, succeeded=False, failure=Failure.ENGINE_LOST, reason=end.lost, retry_at=None)
        return lost, None
    # What it had said before it was stopped stands: then the stop only ended what was left of it. An exit code is
    # nothing that it said: a program that ends well when it is asked to has still not come to its end.
    if cut is None or watch.parser.said_done:
        return told, code
    if cut.failure is None:
        return (replace(told, succeeded=False, failure=Failure.CRASHED) if told.succeeded else told), code
    if cut.failure is Failure.STALLED and told.failure in (Failure.RATE_LIMITED, Failure.OVERLOADED):
        return told, code  # it was silent because it waited for that
    return replace(told, succeeded=False, failure=cut.failure, reason=cut.reason, retry_at=None), code


def _told(run: RunDir, watch: Watch, end: End) -> tuple[Outcome, int | None]:
    """The adapter's verdict; or, where the shim could not write the end, what is known without it."""
    code = run.exit_code()
    if code is None and end.code is not None and end.code != KILLED:
        code = end.code  # it ended by itself, and only could not write it down: the disk is full
    if code is not None:
        return watch.parser.outcome(Exit(code), run.stderr_tail()), code
    told = watch.parser.outcome(Exit(KILLED), run.stderr_tail())
    if end.stopped:
        return told, None
    _, who = run.claim()
    rebooted = who is not None and who.boot != procfs.boot_id()
    outcome = Outcome(
        succeeded=False,
        failure=Failure.ENGINE_LOST if rebooted else Failure.CRASHED,
        reason="the machine went down while it ran" if rebooted else "its processes were killed from outside",
        usage=told.usage,
        session=told.session,
        unknown_lines=told.unknown_lines,
    )
    return outcome, None
