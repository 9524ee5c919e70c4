"""Reads the log for what is worth telling, queues it, and sends what is due: each channel by itself, each once.

A notice is queued in the transaction that notes how far the log has been read, and a message has its id before it is
sent. So whenever the engine dies, nothing is lost, and at most one message of a channel goes out twice, under one id.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path

from msgspec import structs

from engine import events as log
from engine.alarm import Alarm
from engine.clock import now_ms
from engine.config import KeyReference, Settings
from engine.config.notify import ChannelSettings
from engine.documents import nearest
from engine.errors import CredentialError, NotFoundError, StorageError
from engine.hub import Hub
from engine.notice import (
    ChannelKind,
    ChannelStatus,
    Message,
    Notice,
    NoticeClass,
    NotifyStatus,
    Tried,
)  # fmt: skip
from engine.notify import news
from engine.notify.desktop import DesktopSender
from engine.notify.mail import MailSender
from engine.notify.sending import NotSentError, Sender
from engine.notify.web import CALLS, WebSender
from engine.redact import Secrets, out_of_shapes
from engine.store import Store, Transaction, notices
from engine.store.notices import Parcel, Place
from engine.units import milliseconds

logger = logging.getLogger(__name__)

STORAGE_RETRY_SECONDS = 5.0
FIRST_MS, LONGEST_MS = 5_000, 30 * 60_000  #: of the wait before a message is tried again
HOUR_MS = 3_600_000

LOOK_SECONDS = 0.05  #: at least between two looks at the log: events come in crowds
UNNOTED = 10_000  #: events that were read without finding anything, before it is noted how far that was

Resolve = Callable[[KeyReference], Coroutine[None, None, str]]


class Notifier:
    """One for an engine. `resolve` leads from where a key is kept to the key."""

    def __init__(
        self, home: Path, store: Store, hub: Hub, settings: Settings, secrets: Secrets, resolve: Resolve
    ) -> None:
        self._home = str(home)
        self._store = store
        self._hub = hub
        self._notify = settings.notify
        self._secrets = secrets
        self._resolve = resolve
        self._news = asyncio.Event()
        self._worth = news.worth(about for about in NoticeClass if self._notify.places(about))
        self._kinds = tuple(str(kind.__struct_config__.tag) for kind in self._worth)
        self._read_to = 0
        """The log was looked through up to there, whatever is noted of that."""
        self._alarms: dict[str, Alarm] = {}
        self._gather = milliseconds(self._notify.gather)
        self._give_up = milliseconds(self._notify.give_up)

    async def run(self) -> None:
        """Until cancelled."""
        names = self._notify.names
        await _written(self._store, notices.begin)
        await _written(self._store, lambda tx: notices.forget(tx, names))
        forget = self._hub.heed(self._worth, self._news.set)
        self._alarms = {name: Alarm() for name in names}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read_on(), name="news")
                for name in names:
                    tasks.create_task(self._send_on(name), name=f"notify {name}")
        finally:
            forget()
            for alarm in self._alarms.values():
                alarm.close()

    # ---- what is told

    async def _read_on(self) -> None:
        self._news.set()
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                more = await self._read()
            except StorageError as error:
                logger.error("%s; the log is looked at again in %.0f s", error, STORAGE_RETRY_SECONDS)
                await asyncio.sleep(STORAGE_RETRY_SECONDS)
                more = True
            if more:
                self._news.set()
            await asyncio.sleep(LOOK_SECONDS)

    async def _read(self) -> bool:
        """Queue what is worth telling since the last time. True where there is more to read."""
        read = await self._store.look(lambda tx: notices.read(tx, self._kinds, self._read_to))
        found = [notice for one in read.news if (notice := self._notice(one)) is not None]
        queued = [(notice, self._places(notice)) for notice in found]
        if queued or read.up_to - read.noted > UNNOTED:
            await _written(self._store, lambda tx: notices.keep(tx, read, queued))
        self._read_to = read.up_to
        for name in {place.channel for _, places in queued for place in places}:
            if (alarm := self._alarms.get(name)) is not None:
                alarm.wake()
        return read.more

    def _notice(self, one: notices.News) -> Notice | None:
        """The notice of an event, without anything that is a key or looks like one; None where nobody is told."""
        found = news.notice(one.event, news.About(one.title, one.died), self._home)
        if found is None or not self._notify.places(found.about):
            return None
        return structs.replace(found, title=self._clean(found.title), text=self._clean(found.text))

    def _clean(self, text: str) -> str:
        return out_of_shapes(self._secrets.out_of(text))

    def _places(self, notice: Notice) -> list[Place]:
        now = now_ms()
        urgent = notice.about.value in self._notify.urgent
        quiet = None if urgent else self._notify.quiet_until(now)
        places = []
        for name in self._notify.places(notice.about):
            channel = self._notify.channel(name)
            if channel is None:
                continue
            if channel.kind is ChannelKind.TERMINAL:
                places.append(Place(name, now))  # whoever sits before it is awake
            elif quiet is not None:
                places.append(Place(name, quiet, digest=True))
            else:
                places.append(Place(name, now if urgent else now + self._gather, digest=not urgent))
        return places

    # ---- where it goes

    async def _send_on(self, name: str) -> None:
        alarm = self._alarms[name]
        while True:
            try:
                due = await self._send_due(name)
            except StorageError as error:
                logger.error("%s; notifications wait %.0f s", error, STORAGE_RETRY_SECONDS)
                due = now_ms() + round(STORAGE_RETRY_SECONDS * 1000)
            await alarm.until(due, now_ms())

    async def _send_due(self, name: str) -> int | None:
        """Send what is due on a channel. Returns when there is more."""
        channel = self._notify.channel(name)
        assert channel is not None, "only channels that there are have a task"
        while (due := (await self._store.look(notices.next_due)).get(name)) is not None:
            if due > now_ms():
                return due
            if channel.kind is not ChannelKind.TERMINAL and (until := await self._enough(name, channel)) is not None:
                await self._store.write(lambda tx, until=until: notices.postpone(tx, name, until))  # type: ignore[misc]
            parcel = await self._store.write(lambda tx: notices.pack(tx, name))
            if parcel is not None:
                await self._send(channel, parcel)
        return None

    async def _enough(self, name: str, channel: ChannelSettings) -> int | None:
        """Until when nothing more goes out on a channel, as so much has within an hour."""
        most = channel.per_hour or self._notify.per_hour
        count, first = await self._store.look(lambda tx: notices.recent(tx, name, now_ms() - HOUR_MS))
        return first + HOUR_MS + 1 if count >= most and first is not None else None

    async def _send(self, channel: ChannelSettings, parcel: Parcel) -> None:
        if channel.kind is ChannelKind.TERMINAL:
            await self._store.write(lambda tx: notices.announce(tx, parcel))
            return
        try:
            await self._try(channel, parcel.message)
        except NotSentError as error:
            why = self._clean(error.why)
            if error.final or now_ms() - parcel.first_at > self._give_up:
                await self._store.write(lambda tx: notices.failed(tx, parcel, why))
            else:
                at = now_ms() + max(_wait(parcel.tries), round((error.after or 0) * 1000))
                await self._store.write(lambda tx: notices.again(tx, parcel, at, why))
        else:
            await self._store.write(lambda tx: notices.sent(tx, parcel))

    async def _try(self, channel: ChannelSettings, message: Message) -> None:
        """Send a message once. Raises `NotSentError`."""
        key = None
        if channel.key is not None:
            try:
                key = await self._resolve(channel.key)
            except CredentialError as error:
                raise NotSentError(error.message) from None
            self._secrets.learn([key])
        try:
            await _sender(channel).send(message, key)
        except NotSentError:
            raise
        except Exception as error:  # a way of sending that breaks must not take the engine along
            logger.exception("message %s could not be sent", message.uid)
            raise NotSentError(f"{type(error).__name__} while it was sent; the engine's log has more") from None

    # ---- what the operator asks

    async def test(self, name: str | None) -> list[Tried]:
        """Try a channel now, or all of them: whatever the time, and whatever else waits. Raises `NotFoundError`."""
        known = self._notify.names
        if name is not None and self._notify.channel(name) is None:
            raise NotFoundError(f"there is no channel {name!r}; {nearest(name, known)}")
        return [await self._test(one) for one in ([name] if name is not None else known)]

    async def _test(self, name: str) -> Tried:
        channel = self._notify.channel(name)
        assert channel is not None, "it was looked for"
        message = Message(
            uid=uuid.uuid4().hex,
            title="Headway can reach you here",
            text=f"a test of the channel {name}: headway notify test",
            about=NoticeClass.NEEDS_YOU,
            at=now_ms(),
        )
        if channel.kind is ChannelKind.TERMINAL:
            body = log.Notified(message.uid, message.about, message.title, message.text)
            await self._store.write(lambda tx: tx.log(body))
            return Tried(channel=name, ok=True, why="said in the log; an open console rings", uid=message.uid)
        try:
            await self._try(channel, message)
        except NotSentError as error:
            return Tried(channel=name, ok=False, why=self._clean(error.why), uid=message.uid)
        return Tried(channel=name, ok=True, uid=message.uid)

    async def status(self) -> NotifyStatus:
        """How each channel stands, and how much stayed silent."""
        while await self._read():
            pass  # what has just happened counts
        found, silence = await self._store.look(lambda tx: (notices.tallies(tx), notices.silence(tx)))
        lines = [self._line(name, found.get(name)) for name in self._notify.names]
        return NotifyStatus(channels=lines, silence=silence, quiet_until=self._notify.quiet_until(now_ms()))

    def _line(self, name: str, tally: notices.Tally | None) -> ChannelStatus:
        channel = self._notify.channel(name)
        assert channel is not None, "it is among the names"
        counts: Mapping[str, int] = tally.counts if tally is not None else {}
        return ChannelStatus(
            name=name,
            kind=channel.kind,
            classes=[one for one in NoticeClass if name in self._notify.places(one)],
            sent=counts.get("sent", 0),
            waiting=counts.get("waiting", 0),
            failed=counts.get("failed", 0),
            dropped=counts.get("dropped", 0),
            last_sent=tally.last_sent if tally is not None else None,
            next_try=tally.next_try if tally is not None else None,
            why=tally.why if tally is not None and (counts.get("failed") or counts.get("waiting")) else None,
        )


def _sender(channel: ChannelSettings) -> Sender:
    if channel.kind in CALLS:
        return WebSender(channel)
    return MailSender(channel) if channel.kind is ChannelKind.MAIL else DesktopSender()


def _wait(tries: int) -> int:
    """Milliseconds before the next try: twice as long each time, with full jitter but for a floor."""
    longest = min(LONGEST_MS, FIRST_MS << min(tries, 20))
    return longest // 2 + random.randrange(longest // 2)


async def _written(store: Store, operation: Callable[[Transaction], None]) -> None:
    """Write, however long that cannot be done."""
    while True:
        try:
            return await store.write(operation)
        except StorageError as error:
            logger.error("%s; notifications wait %.0f s", error, STORAGE_RETRY_SECONDS)
            await asyncio.sleep(STORAGE_RETRY_SECONDS)
