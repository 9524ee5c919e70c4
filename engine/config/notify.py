"""What headway.yaml says of notifications: which channels there are, what goes where, and when it is quiet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, field

from engine.config import checks
from engine.config.keys import KeyReference
from engine.config.triage import SPAN_OF_DAY
from engine.documents import Complaint, nearest
from engine.notice import ChannelKind, NoticeClass

if TYPE_CHECKING:
    from engine.config.settings import Settings

TERMINAL, DESKTOP = ChannelKind.TERMINAL.value, ChannelKind.DESKTOP.value  #: channels that are there by themselves
TELEGRAM = "https://api.telegram.org"
NTFY = "https://ntfy.sh"
SMTP_PORTS = {"starttls": 587, "tls": 465, "none": 25}

#: Addresses that are keys themselves.
_SECRET_HOSTS = ("hooks.slack.com", "discord.com", "discordapp.com")


class ChannelSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One way to reach the operator. Which fields it takes depends on its kind."""

    kind: ChannelKind
    url: str | None = None
    """`webhook`; of `ntfy` and `telegram` another server than the usual."""
    key: KeyReference | None = None
    """Of `webhook` what it is signed with, of `ntfy` and `telegram` the token, of `mail` the password, of `slack` the
    whole address of the hook.
    """
    topic: str | None = None
    """`ntfy`."""
    chat: str | None = None
    """`telegram`."""
    host: str | None = None
    """`mail`, and what follows."""
    port: Annotated[int, Meta(ge=1, le=65_535)] | None = None
    tls: str = "starttls"
    """`starttls`, `tls`, or `none` on a machine of one's own."""
    user: str | None = None
    sender: str | None = None
    to: list[str] = field(default_factory=list)
    per_hour: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    """So many messages an hour; what is more goes as a digest."""


def _default() -> dict[NoticeClass, list[str]]:
    said = (NoticeClass.NEEDS_YOU, NoticeClass.ESCALATED, NoticeClass.FAILED, NoticeClass.BUDGET, NoticeClass.ENGINE)
    return {one: [TERMINAL] for one in said}


class NotifySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Silence is the default: what is not said here tells nobody anything."""

    channels: dict[str, ChannelSettings] = field(default_factory=dict)
    tell: dict[str, list[str]] = field(default_factory=dict)
    """Class -> channels. One that is not named goes to the terminal, but for `done` and `limit`, which go nowhere."""
    quiet: str | None = None
    """`22:00-07:00`, this machine's time: what comes then is told in one message when it is over."""
    urgent: list[str] = field(default_factory=lambda: [NoticeClass.ESCALATED.value])
    """Classes that are told at once even then."""
    gather: str | int = "10s"
    """So long a notice waits for others, to go with them in one message; what is urgent does not."""
    per_hour: Annotated[int, Meta(ge=1, le=10_000)] = 30
    """Messages an hour on a channel, where it does not say so itself."""
    give_up: str | int = "24h"
    """So long a notice is tried again."""

    def places(self, about: NoticeClass) -> list[str]:
        """Where a class is told."""
        said = self.tell.get(about.value)
        return list(dict.fromkeys(_default().get(about, []) if said is None else said))

    def channel(self, name: str) -> ChannelSettings | None:
        if name in self.channels:
            return self.channels[name]
        return ChannelSettings(kind=ChannelKind(name)) if name in (TERMINAL, DESKTOP) else None

    @property
    def names(self) -> list[str]:
        """All channels: those that are named, and the terminal and the desktop where something goes there."""
        used = {name for about in NoticeClass for name in self.places(about)}
        return [*self.channels, *(one for one in (TERMINAL, DESKTOP) if one in used and one not in self.channels)]

    def quiet_until(self, now: int) -> int | None:
        """When the quiet time ends that it is now, milliseconds UTC; None where it is none. By this machine's zone."""
        found = SPAN_OF_DAY.fullmatch((self.quiet or "").strip())
        if found is None:
            return None
        first, last = (int(found[1]), int(found[2])), (int(found[3]), int(found[4]))
        here = datetime.fromtimestamp(now / 1000)
        clock = (here.hour, here.minute)
        inside = first <= clock < last if first < last else clock >= first or clock < last
        if not inside or first == last:
            return None
        ends = here.replace(hour=last[0], minute=last[1], second=0, microsecond=0)
        if ends <= here:
            ends = (ends + timedelta(days=1)).replace(hour=last[0], minute=last[1])
        return int(ends.timestamp() * 1000)


def complaints(settings: Settings) -> Iterator[Complaint]:
    """What is wrong beyond the types."""
    notify = settings.notify
    classes = [one.value for one in NoticeClass]
    known = [*notify.channels, TERMINAL, DESKTOP]
    for about, names in notify.tell.items():
        if about not in classes:
            yield ("notify", "tell", about), f"there is no class {about!r}; {nearest(about, classes)}"
        for name in names:
            if name not in known:
                yield ("notify", "tell", about), f"there is no channel {name!r}; {nearest(name, known)}"
    for about in notify.urgent:
        if about not in classes:
            yield ("notify", "urgent"), f"there is no class {about!r}; {nearest(about, classes)}"
    if notify.quiet is not None and SPAN_OF_DAY.fullmatch(notify.quiet.strip()) is None:
        yield ("notify", "quiet"), f"{notify.quiet!r} is no time of day; write 22:00-07:00"
    yield from checks.spans(("notify",), notify, "gather", "give_up")
    for name, channel in notify.channels.items():
        keys = ("notify", "channels", name)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", name):
            yield keys, "a name is made of letters, digits, _ and -"
        yield from checks.key((*keys, "key"), channel.key)
        yield from _of_channel(keys, channel)


_NEEDS: dict[ChannelKind, tuple[str, ...]] = {
    ChannelKind.NTFY: ("topic",),
    ChannelKind.TELEGRAM: ("chat", "key"),
    ChannelKind.SLACK: ("key",),
    ChannelKind.WEBHOOK: ("url", "key"),
    ChannelKind.MAIL: ("host", "sender", "to"),
}
_TAKES: dict[ChannelKind, tuple[str, ...]] = {
    ChannelKind.NTFY: ("url", "key", "topic"),
    ChannelKind.TELEGRAM: ("url", "key", "chat"),
    ChannelKind.SLACK: ("key",),
    ChannelKind.WEBHOOK: ("url", "key"),
    ChannelKind.MAIL: ("key", "host", "port", "user", "sender", "to"),
}
_FIELDS = ("url", "key", "topic", "chat", "host", "port", "user", "sender", "to")


def _of_channel(keys: tuple[str, ...], channel: ChannelSettings) -> Iterator[Complaint]:
    kind = channel.kind
    for name in _NEEDS.get(kind, ()):
        if not getattr(channel, name):
            yield (*keys, name), f"a channel of the kind {kind} needs it"
    takes = _TAKES.get(kind, ())
    for name in _FIELDS:
        if getattr(channel, name) and name not in takes:
            hint = f"it takes {', '.join(takes)}" if takes else "it takes nothing"
            yield (*keys, name), f"a channel of the kind {kind} has no {name}; {hint}"
    if channel.tls not in SMTP_PORTS:
        yield (*keys, "tls"), f"{channel.tls!r} is no way to encrypt; {nearest(channel.tls, list(SMTP_PORTS))}"
    for address in (*channel.to, *filter(None, [channel.sender])):
        if not re.fullmatch(r"[^@\s<>\",;]+@[^@\s<>\",;]+", address):
            yield (*keys, "to" if address in channel.to else "sender"), f"{address!r} is no address of mail"
    if channel.url is not None:
        yield from _of_url((*keys, "url"), channel.url)


def _of_url(keys: tuple[str, ...], url: str) -> Iterator[Complaint]:
    parts = checks.split_address(url)
    if parts is None:
        yield keys, f"{url!r} is no address; write https://HOST/PATH"
    elif parts.username or parts.password or parts.hostname in _SECRET_HOSTS:
        yield keys, "it holds a key: say where that is kept, under key: (kind: slack takes its whole address there)"
