"""What an attempt is told, and what passes from attempt to attempt."""

from __future__ import annotations

from engine.briefing import Part
from engine.events.body import Body
from engine.hand_off import Cause


class HandOffStored(Body, frozen=True, tag="hand_off_stored"):
    """A hand-off was written. Its text is in the table: the log is for ever, and a person may want it gone."""

    id: int
    by: str
    cause: Cause


class ContextTold(Body, frozen=True, tag="context_told"):
    """What the attempt was told beside its task, in tokens by part, about."""

    tokens: dict[Part, int]


HandOffBody = HandOffStored | ContextTold
