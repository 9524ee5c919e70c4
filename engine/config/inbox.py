"""What headway.yaml says of the inbox: when cards remind, and when like answers become a rule that is proposed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from engine.config import checks
from engine.documents import Complaint

if TYPE_CHECKING:
    from engine.config.settings import Settings


class InboxSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The operator's own pace."""

    warn: str | int = "5m"
    """So long before its default is taken a card says that it is near; 0 is never."""
    escalate: str | int = "1h"
    """So long unanswered, and then again and again, a card is said louder (`notify: escalated`); 0 is never."""
    escalations: Annotated[int, Meta(ge=1, le=1_000)] = 3
    """So often."""
    propose_after: Annotated[int, Meta(ge=0, le=1_000)] = 3
    """So many like answers, and no other one, and Headway proposes a rule; 0 is never."""
    rules_for: str | int = "30d"
    """How long a proposed rule holds; 0 is for ever."""


def complaints(settings: Settings) -> Iterator[Complaint]:
    """What is wrong beyond the types."""
    yield from checks.spans(("inbox",), settings.inbox, "warn", "escalate", "rules_for")
    if settings.inbox.propose_after == 1:
        yield ("inbox", "propose_after"), "one answer is no habit; write 2 or more, or 0 for no proposals"
