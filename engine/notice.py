"""What is worth telling the operator, and where it is told. Frozen types, no I/O. Times are milliseconds UTC."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

TITLE_LIMIT = 120  #: characters
TEXT_LIMIT = 600


class NoticeClass(StrEnum):
    """What a notice is about: each goes where `notify:` says."""

    NEEDS_YOU = "needs_you"
    """A card waits, or its default is near."""
    ESCALATED = "escalated"
    """A card has waited for long, and nobody answered."""
    FAILED = "failed"
    """A job did, for good."""
    DONE = "done"
    BUDGET = "budget"
    """One is short, or used up."""
    LIMIT = "limit"
    """Nothing of an account starts before a time."""
    ENGINE = "engine"
    """Trouble of the engine's own: it had died, a target is paused, books differ, a schedule was missed."""


class ChannelKind(StrEnum):
    TERMINAL = "terminal"
    """The console: bell and OSC 9."""
    DESKTOP = "desktop"
    """notify-send."""
    NTFY = "ntfy"
    TELEGRAM = "telegram"
    SLACK = "slack"
    WEBHOOK = "webhook"
    """JSON over HTTP, signed as Standard Webhooks wants it."""
    MAIL = "mail"


#: Classes that are said as loud as the channel can.
LOUD = frozenset({NoticeClass.ESCALATED})


class Notice(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing worth telling."""

    uid: str
    """The same for the same thing, however often it is met."""
    about: NoticeClass
    title: str
    text: str
    at: int
    seq: int = 0
    """The event that it tells of."""
    job: int | None = None
    card: int | None = None


class DeliveryState(StrEnum):
    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    DROPPED = "dropped"
    """It was not worth telling any more: its card had been answered."""


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What goes out on a channel in one piece: a notice, or several as a digest."""

    uid: str
    """The same in each try, so that whoever gets it twice can tell."""
    title: str
    text: str
    about: NoticeClass
    at: int
    job: int | None = None
    card: int | None = None
    count: int = 1
    """Notices in it."""

    @property
    def loud(self) -> bool:
        return self.about in LOUD


class ChannelStatus(Struct, frozen=True, kw_only=True):
    """How a channel stands."""

    name: str
    kind: ChannelKind
    classes: list[NoticeClass] = field(default_factory=list)
    """What goes there."""
    sent: int = 0
    """Notices, in the last months."""
    waiting: int = 0
    failed: int = 0
    dropped: int = 0
    last_sent: int | None = None
    next_try: int | None = None
    why: str | None = None
    """Of the newest that failed, or is tried again."""


class Silence(Struct, frozen=True, kw_only=True):
    """How much of the finished work told nobody anything."""

    finished: int
    """Jobs that succeeded or failed."""
    told: int
    """Of these, that notified somebody while they ran or as they ended."""

    @property
    def share(self) -> float | None:
        return None if not self.finished else (self.finished - self.told) / self.finished


class NotifyStatus(Struct, frozen=True, kw_only=True):
    """The answer of `GET /v1/notify`."""

    channels: list[ChannelStatus]
    silence: Silence
    quiet_until: int | None = None
    """It is a quiet time, to then."""


class TestNotify(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Body of `POST /v1/notify/test`: try a channel now, or all."""

    channel: str | None = None


class Tried(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a try of a channel came to."""

    channel: str
    ok: bool
    why: str = ""
    uid: str = ""
