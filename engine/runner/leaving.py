"""What an attempt that did not succeed leaves for the next one, written down before it is settled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from msgspec import structs

from engine.agents.base import Agent
from engine.context.brief import structured
from engine.context.handoff import Story
from engine.context.record import deeds_of
from engine.dispatch.settling import Ending
from engine.hand_off import HEADWAY, Cause, HandOff
from engine.model import LIMITS
from engine.passing import cleaned
from engine.redact import Secrets
from engine.store import Transaction, hand_offs
from engine.store.claims import Claim

logger = logging.getLogger(__name__)


async def left_behind(
    home: Path, claim: Claim, agents: Mapping[str, Agent], ending: Ending, secrets: Secrets
) -> HandOff | None:
    """The hand-off of an attempt that has ended without success; None where there is nothing to hand over.

    Never raises: an attempt is settled whether its output can be read or not.
    """
    agent = agents.get(claim.attempt.agent)
    told = agent is not None and (agent.resumable or agent.converses)
    if ending.outcome.succeeded or not ending.began or not told:
        return None
    tried = structs.replace(claim.attempt, started_at=claim.attempt.created_at)
    try:
        deeds = await asyncio.to_thread(deeds_of, home, [tried], agents)
    except Exception:
        logger.exception("job %d: what its attempt did cannot be read", claim.job.id)
        return None
    diff = ending.diff
    changed = f"{diff.files} files +{diff.added} -{diff.removed}" if diff is not None and diff.files else ""
    story = Story(claim.spec.prompt, "", "", ended=ending.outcome.reason or "", changed=changed, deeds=deeds)
    return cleaned(structured(story), secrets)


def occasion(ending: Ending, *, stopped: bool) -> Cause:
    """On what occasion that is."""
    waits = ending.parked or stopped or ending.outcome.failure in LIMITS
    return Cause.PARK if waits else Cause.FAILURE


def keep(tx: Transaction, claim: Claim, note: HandOff, cause: Cause) -> None:
    """Write it down, as an attempt that is about to be settled leaves it."""
    hand_offs.store_hand_off(tx, claim.job.id, note, by=HEADWAY, cause=cause, attempt=claim.attempt.id)


def keep_told(tx: Transaction, claim: Claim, note: HandOff, others: tuple[int, ...]) -> None:
    """Write down what a new session begins with, before it does."""
    previous = claim.previous if claim.previous is not None or claim.desk is None else claim.desk.last
    if note.empty or previous is None:
        return
    cause = Cause.ROTATION if previous.target == claim.attempt.target else Cause.REROUTE
    made = hand_offs.store_hand_off(tx, claim.job.id, note, by=HEADWAY, cause=cause, attempt=previous.id)
    hand_offs.tell(tx, (made.id, *others), claim.attempt.id)
