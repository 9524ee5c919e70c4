"""Who called what: every verb, and whoever was refused, written into the log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

from engine import events as log
from engine.errors import HeadwayError
from engine.mcp.pace import Pace
from engine.model.access import AuditLine
from engine.redact import Secrets
from engine.store import Store, audit

logger = logging.getLogger(__name__)

REFUSALS = 30  #: of one caller that are written in a minute; the others are counted
REFUSALS_OF_ALL = 300  #: likewise, of everybody: addresses cost who attacks nothing
_CALLERS = 1_000  #: of whom it is remembered how often they were refused
_TEXT = 80  #: characters of one word of a call
_LINE = 300  #: characters of a call, and of what came of it
_FEW = 10  #: of a list that are written out


class Audit:
    """One for an engine."""

    def __init__(self, store: Store, secrets: Secrets) -> None:
        self._store = store
        self._secrets = secrets
        self._of_all = Pace.of(REFUSALS_OF_ALL, time.monotonic())
        self._paces: OrderedDict[str, Pace] = OrderedDict()
        self._untold = 0
        self._waiting: list[log.Audited] = []
        self._some = asyncio.Event()
        self._writing = asyncio.Lock()

    async def run(self) -> None:
        """Write down what comes, many lines in one transaction, until cancelled; and then what is left."""
        try:
            while True:
                await self._some.wait()
                self._some.clear()
                await self._write()
        finally:
            await self._write()

    def soon(self, entry: log.Audited) -> None:
        """Have a call written down. Nobody waits for it: a crash within the next milliseconds may lose the line."""
        what, said = self._clean(entry.what), self._clean(entry.said)
        self._waiting.append(msgspec.structs.replace(entry, what=what, said=said))
        self._some.set()

    async def note(self, entry: log.Audited) -> None:
        """Write a call down, durably."""
        self.soon(entry)
        await self._write()

    async def _write(self) -> None:
        """All that waits. It has been carried out: where the disk is full, the engine's own log has to do."""
        async with self._writing:
            told, self._waiting = self._waiting, []
            if not told:
                return
            try:
                await self._store.write(lambda tx: tx.log_all([(one, None, None) for one in told]))
            except HeadwayError:
                for one in told:
                    logger.error("the audit cannot be written: %s", one)

    async def refused(self, entry: log.Audited) -> None:
        """Write a refusal down; or count it, where there were too many of late for each to be told."""
        key, now = f"{entry.door} {entry.address} {entry.who}", time.monotonic()
        pace = self._paces.pop(key, None) or Pace.of(REFUSALS, now)
        self._paces[key] = pace
        if len(self._paces) > _CALLERS:
            self._paces.popitem(last=False)
        if pace.take(now) or self._of_all.take(now):
            self._untold += 1
            return
        more, self._untold = self._untold, 0
        await self.note(msgspec.structs.replace(entry, more=more))

    async def lines(self, since: int, who: str | None, limit: int) -> list[AuditLine]:
        """The newest calls since a time, oldest first; of one caller where one is named."""
        await self._write()
        return await self._store.look(lambda tx: audit.lines(tx, since, who, limit))

    def _clean(self, text: str) -> str:
        line = self._secrets.out_of(" ".join(text.split()))
        return line if len(line) <= _LINE else line[: _LINE - 1] + "…"


def summary(asked: object) -> str:
    """What a call was given, in a line: the fields that say something, as `verb=hold jobs=1,2`. Pure."""
    if not isinstance(asked, Struct):
        return ""
    said = []
    for field in fields(asked):
        value = getattr(asked, field.name)
        usual = field.default if field.default_factory is NODEFAULT else field.default_factory()
        if value not in (usual, None):
            said.append(f"{field.name}={_word(value)}")
    return " ".join(said)


def _word(value: Any) -> str:
    if isinstance(value, Struct):
        return f"({summary(value)})"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        if len(value) > _FEW or (value and isinstance(value[0], Struct) and len(value) > 1):
            return f"({len(value)} of them)"
        return ",".join(map(_word, value))
    text = " ".join(str(value).split())
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"
