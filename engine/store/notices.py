"""What is told, where it waits, and what became of it. Operations of the one writer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from engine import events as log
from engine.notice import DeliveryState, Message, Notice, NoticeClass, Silence
from engine.store.writer import Transaction

READ = 1_000  #: events that are looked at in one go
KEPT_MS = 90 * 86_400_000  #: what has been told is kept so long, for the share that stayed silent
DIGEST_MOST = 50  #: notices in one message

_CURSOR = "SELECT seq FROM notified"
_NEWS = (
    "SELECT events.seq, events.at, events.job, events.attempt, events.body, jobs.title FROM events "
    "LEFT JOIN jobs ON jobs.id = events.job WHERE events.seq > ? "
    "AND json_extract(events.body, '$.kind') IN (SELECT value FROM json_each(?)) ORDER BY events.seq LIMIT ?"
)
_STOPPED = (
    "SELECT json_extract(body, '$.kind') FROM events WHERE seq < ? "
    "AND json_extract(body, '$.kind') IN ('engine_started', 'engine_stopped') ORDER BY seq DESC LIMIT 1"
)
_INSERT = (
    "INSERT INTO notices (seq, uid, class, job, card, title, text, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (uid) DO NOTHING"
)
_QUEUE = "INSERT INTO deliveries (notice, channel, state, not_before, digest) VALUES (?, ?, 'waiting', ?, ?)"
_WAITING = (
    "SELECT d.id, d.message, d.digest, d.tries, n.uid, n.class, n.title, n.text, n.at, n.seq, n.job, n.card "
    "FROM deliveries AS d INDEXED BY deliveries_waiting JOIN notices AS n ON n.id = d.notice "
    f"WHERE d.state = 'waiting' AND d.channel = ? AND d.not_before <= ? ORDER BY d.id LIMIT {DIGEST_MOST}"
)
_OF_MESSAGE = (
    "SELECT d.id, d.message, d.digest, d.tries, n.uid, n.class, n.title, n.text, n.at, n.seq, n.job, n.card "
    "FROM deliveries AS d JOIN notices AS n ON n.id = d.notice "
    "WHERE d.state = 'waiting' AND d.channel = ? AND d.message = ? ORDER BY d.id"
)
_ANSWERED = "SELECT 1 FROM decisions WHERE id = ? AND answered_at IS NOT NULL"
_NEXT = (
    "SELECT channel, min(not_before) FROM deliveries INDEXED BY deliveries_waiting WHERE state = 'waiting' GROUP BY 1"
)
_SENT_SINCE = (
    "SELECT count(DISTINCT message), min(ended_at) FROM deliveries INDEXED BY deliveries_ended "
    "WHERE channel = ? AND ended_at > ? AND state = 'sent'"
)
_COUNTS = "SELECT channel, state, count(*), max(ended_at), min(not_before) FROM deliveries GROUP BY 1, 2"
_WHY = "SELECT why FROM deliveries WHERE channel = ? AND why IS NOT NULL AND state <> 'sent' ORDER BY id DESC LIMIT 1"
_TOLD = (
    "SELECT count(DISTINCT n.job) FROM notices AS n JOIN jobs ON jobs.id = n.job "
    "WHERE jobs.state IN ('succeeded', 'failed')"
)
_FINISHED = "SELECT ifnull(sum(n), 0) FROM counts WHERE name IN ('succeeded', 'failed')"


@dataclass(frozen=True, slots=True)
class News:
    """An event that may be worth telling, with the title of its job."""

    event: log.Event
    title: str
    died: bool = False
    """Of an engine's start: the one before did not end by itself."""


@dataclass(frozen=True, slots=True)
class Read:
    """A piece of the log. `up_to`: nothing before it has to be read again; `more`: there may be more."""

    news: list[News]
    noted: int
    """It was noted that the log has been read up to there."""
    up_to: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a notice is to go, not before when, and whether it may wait for others."""

    channel: str
    not_before: int
    digest: bool = False


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message that is due on a channel, and the deliveries that go with it."""

    message: Message
    deliveries: tuple[int, ...]
    tries: int
    first_at: int
    """When the oldest of its notices was."""


def begin(tx: Transaction) -> None:
    """What happened before anybody wanted to be told is not told."""
    if tx.connection.execute(_CURSOR).fetchone() is None:
        tx.connection.execute("INSERT INTO notified (seq) VALUES (?)", (max(0, tx.newest("events") - 1),))


def read(tx: Transaction, kinds: Sequence[str], after: int = 0) -> Read:
    """The events of some kinds since what was noted, or after a later one. Writes nothing."""
    noted = int(tx.connection.execute(_CURSOR).fetchone()[0])
    since = max(noted, after)
    newest = int(tx.connection.execute("SELECT ifnull(max(seq), 0) FROM events").fetchone()[0])
    found = tx.connection.execute(_NEWS, (since, msgspec.json.encode(kinds).decode(), READ)).fetchall()
    decode = msgspec.json.Decoder(log.AnyBody).decode
    news = [
        News(log.Event(seq=seq, at=at, job=job, attempt=attempt, body=decode(body)), title or "")
        for seq, at, job, attempt, body, title in found
    ]
    news = [_with_end(tx, one) if isinstance(one.event.body, log.EngineStarted) else one for one in news]
    more = len(found) == READ
    return Read(news, noted, news[-1].event.seq if more else max(newest, since), more)


def _with_end(tx: Transaction, one: News) -> News:
    before = tx.connection.execute(_STOPPED, (one.event.seq,)).fetchone()
    return News(one.event, one.title, died=before is not None and before[0] == "engine_started")


def keep(tx: Transaction, told: Read, notices: Sequence[tuple[Notice, Sequence[Place]]]) -> None:
    """Queue notices, each once, and note how far the log has been read."""
    for notice, places in notices:
        made = tx.connection.execute(
            _INSERT,
            (notice.seq, notice.uid, notice.about, notice.job, notice.card, notice.title, notice.text, notice.at),
        )
        if made.rowcount:
            rows = [(made.lastrowid, one.channel, one.not_before, one.digest) for one in places]
            tx.connection.executemany(_QUEUE, rows)
    tx.connection.execute("UPDATE notified SET seq = max(seq, ?)", (told.up_to,))


def next_due(tx: Transaction) -> dict[str, int]:
    """When each channel has something to send next."""
    return {str(channel): int(at) for channel, at in tx.connection.execute(_NEXT)}


def recent(tx: Transaction, channel: str, since: int) -> tuple[int, int | None]:
    """How many messages went out on a channel since a time, and when the first of them did."""
    count, first = tx.connection.execute(_SENT_SINCE, (channel, since)).fetchone()
    return int(count), first


def pack(tx: Transaction, channel: str) -> Parcel | None:
    """What is to go out on a channel now, as one message with an id of its own. None where nothing is.

    The id is written before anything is sent: a try that nobody could note is repeated with the same one.
    """
    due = tx.connection.execute(_WAITING, (channel, tx.now)).fetchall()
    due = [one for one in due if not _over(tx, one)]
    if not due:
        return None
    packed = next((one[1] for one in due if one[1] is not None), None)
    if packed is not None:
        chosen = tx.connection.execute(_OF_MESSAGE, (channel, packed)).fetchall()
    elif not due[0][2]:
        chosen = due[:1]
    else:
        chosen = [one for one in due if one[2]]
    uids = [str(one[4]) for one in chosen]
    uid = packed or (
        uids[0] if len(uids) == 1 else hashlib.sha256(" ".join([channel, *uids]).encode()).hexdigest()[:32]
    )
    ids = tuple(int(one[0]) for one in chosen)
    tx.connection.executemany("UPDATE deliveries SET message = ? WHERE id = ?", [(uid, number) for number in ids])
    return Parcel(_message(uid, chosen), ids, max(int(one[3]) for one in chosen), min(int(one[8]) for one in chosen))


def _over(tx: Transaction, row: Sequence[Any]) -> bool:
    """Drop what is not worth telling any more. What may have been sent already is not judged again."""
    number, message, card = row[0], row[1], row[11]
    if message is not None or card is None or tx.connection.execute(_ANSWERED, (card,)).fetchone() is None:
        return False
    _end(tx, [number], DeliveryState.DROPPED, f"card {card} was answered before")
    return True


def _message(uid: str, rows: Sequence[Sequence[Any]]) -> Message:
    notices = [_notice(row) for row in rows]
    first = notices[0]
    if len(notices) == 1:
        return Message(
            uid=uid, title=first.title, text=first.text, about=first.about, at=first.at, job=first.job, card=first.card
        )
    order = list(NoticeClass)
    return Message(
        uid=uid,
        title=f"{len(notices)} things: {first.title}, ...",
        text="\n".join(f"- {one.title}" for one in notices),
        about=min((one.about for one in notices), key=order.index),
        at=first.at,
        count=len(notices),
    )


def sent(tx: Transaction, parcel: Parcel) -> None:
    _end(tx, parcel.deliveries, DeliveryState.SENT, None)


def announce(tx: Transaction, parcel: Parcel) -> None:
    """Tell the consoles: by the log, which they follow, in the transaction that notes that it was told."""
    message = parcel.message
    tx.log(
        log.Notified(
            uid=message.uid, about=message.about, title=message.title, text=message.text, count=message.count,
            of=message.job, card=message.card, loud=message.loud,
        )
    )  # fmt: skip
    sent(tx, parcel)


def again(tx: Transaction, parcel: Parcel, at: int, why: str) -> None:
    """It could not be sent: try again then, with the same id."""
    rows = [(at, why, number) for number in parcel.deliveries]
    tx.connection.executemany("UPDATE deliveries SET tries = tries + 1, not_before = ?, why = ? WHERE id = ?", rows)


def failed(tx: Transaction, parcel: Parcel, why: str) -> None:
    _end(tx, parcel.deliveries, DeliveryState.FAILED, why)


def postpone(tx: Transaction, channel: str, until: int) -> None:
    """Enough went out on a channel: what waits goes then, together."""
    tx.connection.execute(
        "UPDATE deliveries SET not_before = max(not_before, ?), digest = 1 "
        "WHERE state = 'waiting' AND channel = ? AND message IS NULL",
        (until, channel),
    )


def _end(tx: Transaction, numbers: Sequence[int], state: DeliveryState, why: str | None) -> None:
    rows = [(state, tx.now, why, number) for number in numbers]
    tx.connection.executemany("UPDATE deliveries SET state = ?, ended_at = ?, why = ? WHERE id = ?", rows)


def forget(tx: Transaction, channels: Sequence[str]) -> None:
    """Remove what was told long ago, and give up what waits for a channel that there is no more."""
    old = tx.now - KEPT_MS
    tx.connection.execute(
        "DELETE FROM deliveries WHERE state <> 'waiting' AND notice IN (SELECT id FROM notices WHERE at < ?)", (old,)
    )
    tx.connection.execute(
        "DELETE FROM notices WHERE at < ? AND NOT EXISTS (SELECT 1 FROM deliveries WHERE notice = notices.id)", (old,)
    )
    tx.connection.execute(
        "UPDATE deliveries SET state = 'failed', ended_at = ?, why = 'headway.yaml has no such channel any more' "
        "WHERE state = 'waiting' AND channel NOT IN (SELECT value FROM json_each(?))",
        (tx.now, msgspec.json.encode(list(channels)).decode()),
    )


@dataclass(frozen=True, slots=True)
class Tally:
    """Deliveries of a channel, by what became of them."""

    counts: Mapping[str, int]
    last_sent: int | None
    next_try: int | None
    why: str | None


def tallies(tx: Transaction) -> dict[str, Tally]:
    """By channel."""
    found: dict[str, dict[str, tuple[int, int | None, int | None]]] = {}
    for channel, state, count, ended, first in tx.connection.execute(_COUNTS).fetchall():
        found.setdefault(channel, {})[state] = (count, ended, first)
    return {
        channel: Tally(
            {state: one[0] for state, one in states.items()},
            states.get("sent", (0, None, None))[1],
            states.get("waiting", (0, None, None))[2],
            None if (why := tx.connection.execute(_WHY, (channel,)).fetchone()) is None else str(why[0]),
        )
        for channel, states in found.items()
    }


def silence(tx: Transaction) -> Silence:
    """How much of the finished work told nobody anything."""
    finished = int(tx.connection.execute(_FINISHED).fetchone()[0])
    return Silence(finished=finished, told=int(tx.connection.execute(_TOLD).fetchone()[0]))


def _notice(row: Sequence[Any]) -> Notice:
    uid, about, title, text, at, seq, job, card = row[4:12]
    return Notice(
        uid=uid, about=NoticeClass(about), title=title, text=text, at=at, seq=seq, job=job, card=card
    )  # fmt: skip
