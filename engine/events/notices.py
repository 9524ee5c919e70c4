"""What the operator is told."""

from __future__ import annotations

from engine.events.body import Body
from engine.notice import NoticeClass


class Notified(Body, frozen=True, tag="notified"):
    """For the consoles that are open: ring, and say this. Every other channel is told by itself."""

    uid: str
    about: NoticeClass
    title: str
    text: str
    count: int = 1
    """Things in it: several come as a digest."""
    of: int | None = None
    """The job."""
    card: int | None = None
    loud: bool = False


NoticeBody = Notified
