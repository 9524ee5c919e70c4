"""Memory as the engine and the command line use it: everything of it happens on one thread of its own.

So nothing that loads, embeds or searches stands in the way of the engine's loop, and no two write at once. Nothing is
opened, and nothing of it is loaded, before something was remembered or is asked for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from engine.clock import now_ms
from engine.config import KeyReference, Settings
from engine.errors import HeadwayError, NotFoundError, RefusedError
from engine.memory import core, files
from engine.memory.answers import (
    Change,
    CorePart,
    Forget,
    Forgotten,
    Import,
    Imported,
    ItemDetail,
    MemoryStatus,
    Moved,
    Recalled,
    Remember,
    Written,
)
from engine.memory.item import Draft, Item, Kind, Standing
from engine.memory.scopes import scope_of
from engine.memory.store import ANY, Backend, Which
from engine.redact import Secrets

if TYPE_CHECKING:
    from engine.memory.archive import Archive

T = TypeVar("T")
logger = logging.getLogger(__name__)

RECALL_SECONDS = 20.0  #: that a job waits for what is known before it goes without; loading everything takes three
MOVE_SECONDS = 20.0  #: of one step of a migration: a request does not run into its time-out
TIDY_SECONDS = 600.0  #: between two looks at whether there is something to merge and to empty
AGAIN_SECONDS = 60.0  #: after embedding has failed
PAGE = 1_000

Keys = Callable[[KeyReference], Awaitable[str]]


class Memory:
    """One for a home. The caller holds the home's lock. `close` ends it."""

    def __init__(self, home: Path, settings: Settings, secrets: Secrets, keys: Keys) -> None:
        self._home = home
        self._settings = settings
        self._secrets = secrets
        self._keys = keys
        self._thread: ThreadPoolExecutor | None = None
        self._archive: Archive | None = None
        self._opening = asyncio.Lock()
        self._closed = False
        self._new = asyncio.Event()
        """Something was written that may want a vector."""

    # ---- the thread

    @property
    def begun(self) -> bool:
        """Something was remembered here once."""
        return files.begun(self._home)

    async def run(self, operation: Callable[[Archive], T]) -> T:
        """Do something with the archive, on its thread. Raises what opening it raises, and what the operation does."""
        archive = await self._open()
        return await self._on_thread(lambda: operation(archive))

    async def _open(self) -> Archive:
        async with self._opening:
            if self._closed:
                raise RefusedError("the engine is stopping")
            if self._archive is None:
                key = await self._key()

                def opened() -> Archive:
                    from engine.memory.archive import Archive

                    return Archive.open(self._home, self._settings.memory, key)

                self._archive = await self._on_thread(opened)
                self._new.set()
            return self._archive

    async def _key(self) -> str | None:
        """That of the endpoint. Without it, there are no vectors, and the archive opens all the same."""
        endpoint = self._settings.memory.endpoint
        if endpoint is None or endpoint.key is None:
            return None
        try:
            key = await self._keys(endpoint.key)
        except HeadwayError as error:
            logger.warning("memory: %s", error.message)
            return None
        self._secrets.learn([key])
        return key

    async def _on_thread(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "memory")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def close(self) -> None:
        """Leave the files in order."""
        self._closed = True
        if self._archive is not None:
            archive, self._archive = self._archive, None
            await self._on_thread(archive.close)
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None

    async def keep(self) -> None:
        """Embed what has no vector yet, and tidy now and then, until cancelled."""
        if self.begun:
            self._new.set()
        while True:
            try:
                async with asyncio.timeout(TIDY_SECONDS):
                    await self._new.wait()
                self._new.clear()
                while await self.run(lambda archive: archive.embed_some()):
                    pass
            except TimeoutError:
                if self._archive is not None:
                    await self._tidy()
            except HeadwayError as error:
                logger.warning("memory: %s", error.message)
                await asyncio.sleep(AGAIN_SECONDS)
                self._new.set()
            except Exception:
                logger.exception("memory: a defect; it is tried again")
                await asyncio.sleep(AGAIN_SECONDS)
                self._new.set()

    async def _tidy(self) -> None:
        try:
            await self.run(lambda archive: archive.store.tidy())
        except HeadwayError as error:
            logger.warning("memory: %s", error.message)

    # ---- scopes

    def scope(self, word: str) -> str:
        """A scope as a person writes it, with a project's name as its directory. Raises `UsageError`."""
        return scope_of(word, self._settings)

    def _which(self, scopes: Sequence[str], kinds: Sequence[Kind], standings: Sequence[Standing]) -> Which:
        return Which(tuple(map(self.scope, scopes)), tuple(kinds), tuple(standings))

    def _redact(self, text: str) -> str:
        return self._secrets.out_of(text)

    # ---- what is known

    async def recall(self, question: str, scopes: Sequence[str], budget: int | None = None) -> Recalled:
        """What a job of these scopes is told, within a budget of tokens; that of the settings where none is given.

        Never raises: where something is wrong, it says what it does without, and the job runs.
        """
        room = self._settings.memory.budget if budget is None else budget
        try:
            if not self.begun:
                return Recalled(question=question, scopes=list(scopes))
            async with asyncio.timeout(RECALL_SECONDS):
                from engine.memory.recall import recall

                named = [self.scope(one) for one in scopes]
                return await self.run(lambda archive: recall(archive, question, named, room, self._redact, now_ms()))
        except TimeoutError:
            why = f"memory did not answer within {RECALL_SECONDS:.0f} s"
        except HeadwayError as error:
            why = error.message
        except Exception as error:
            logger.exception("memory: recall failed")
            why = f"memory failed: {type(error).__name__}: {error}"
        return Recalled(question=question, scopes=list(scopes), without=f"no memory: {why}", core=self._core_of(scopes))

    def _core_of(self, scopes: Sequence[str]) -> list[CorePart]:
        """The core files need no archive."""
        try:
            named = [self.scope(one) for one in scopes]
            return core.parts(self._home, named, self._settings.memory.core_lines, self._redact)
        except HeadwayError:
            return []

    async def search(self, question: str, scopes: Sequence[str] = (), limit: int = 20) -> Recalled:
        """What fits a question, with every term of its score."""
        if not self.begun:
            return Recalled(question=question, scopes=list(scopes))
        from engine.memory.recall import search

        named = [self.scope(one) for one in scopes]
        return await self.run(lambda archive: search(archive, question, named, limit, now_ms()))

    async def items(
        self,
        scopes: Sequence[str] = (),
        kinds: Sequence[Kind] = (),
        standings: Sequence[Standing] = (),
        limit: int = 50,
        after: int | None = None,
    ) -> list[Item]:
        """The newest; or, from `after` on, in the order of their numbers."""
        which = self._which(scopes, kinds, standings) if scopes or kinds or standings else ANY
        if not self.begun:
            return []
        if after is None:
            return await self.run(lambda archive: archive.store.newest(limit, which))
        return await self.run(lambda archive: archive.store.page(after, limit, which))

    async def item(self, number: int) -> ItemDetail:
        """Raises `NotFoundError`."""

        def look(archive: Archive) -> ItemDetail:
            found = archive.store.get([number]).get(number)
            if found is None:
                raise _unknown(number)
            uses = [f"J{use.job} attempt {use.attempt}" for use in archive.ledger.uses(number)]
            same = archive.store.newest(PAGE, Which((found.scope,), (), (Standing.SUPERSEDED,)))
            return ItemDetail(item=found, uses=uses, before=[one.id for one in same if one.superseded_by == number])

        if not self.begun:
            raise _unknown(number)
        return await self.run(look)

    # ---- what is written

    async def remember(self, wanted: Remember, token: str = "") -> list[Written]:
        """Remember things, durably; what is known already is merged. `token`: to take it back by."""
        from engine.memory import undoing, writing

        drafts = [(draft, self.scope(draft.scope)) for draft in wanted.drafts]

        def write(archive: Archive) -> list[Written]:
            if wanted.dry_run:
                return writing.foresee(archive, drafts, self._redact, now_ms())
            with undoing.kept(archive, token, now_ms()):
                return writing.remember(archive, drafts, self._redact, now_ms())

        written = await self.run(write)
        self._new.set()
        return written

    async def learn(self, drafts: Sequence[Draft]) -> list[Written]:
        """The same, for the engine itself."""
        return await self.remember(Remember(drafts=list(drafts))) if drafts else []

    async def change(self, wanted: Change, token: str = "") -> list[Item]:
        """Carry out a change on all that it names, or on none. `token`: to take it back by."""
        from engine.memory import undoing, writing

        if not self.begun:
            raise _unknown(wanted.ids[0])

        def write(archive: Archive) -> list[Item]:
            with undoing.kept(archive, "" if wanted.dry_run else token, now_ms()):
                return writing.change(archive, wanted, self._redact, now_ms())

        changed = await self.run(write)
        self._new.set()
        return changed

    async def take_back(self, token: str, *, dry_run: bool) -> str:
        """Let things stand as before an action; what came of it, in words."""
        from engine.memory import undoing

        taken = await self.run(lambda archive: undoing.take_back(archive, token, dry_run=dry_run))
        self._new.set()
        return taken.words()

    async def forget(self, wanted: Forget) -> Forgotten:
        """Remove things so that nothing of them is left in the files of memory. Raises `NotFoundError`."""
        from engine.memory import moving

        def remove(archive: Archive) -> Forgotten:
            there = archive.store.get(wanted.ids)
            if missing := [number for number in wanted.ids if number not in there]:
                raise _unknown(missing[0])
            uses = sorted({(use.job, use.attempt) for number in there for use in archive.ledger.uses(number, PAGE)})
            jobs = sorted({one.source.job for one in there.values() if one.source.job is not None})
            pending = False
            if not wanted.dry_run:
                moving.abandon(archive)  # it may have copied it already
                archive.store.forget(list(there))
                pending = not archive.ledger.clean()
            told = [f"J{job} attempt {attempt}" for job, attempt in uses]
            return Forgotten(ids=sorted(there), told=told, jobs=jobs, pending=pending)

        if not self.begun:
            raise _unknown(wanted.ids[0])
        return await self.run(remove)

    async def bring_in(self, wanted: Import) -> Imported:
        from engine.memory import writing

        for item in wanted.items:
            self.scope(item.scope)
        done = await self.run(
            lambda archive: writing.bring_in(archive, wanted.items, self._redact, dry_run=wanted.dry_run)
        )
        self._new.set()
        return done

    # ---- what becomes of what was told

    async def note_use(self, items: Sequence[int], job: int, attempt: int) -> None:
        """Things were told to an attempt. Never raises: the attempt runs already."""

        from engine.memory import using

        if items:
            await self._quietly(lambda archive: using.note_use(archive, items, job, attempt, now_ms()))

    async def note_ends(self, ended: Mapping[int, bool]) -> None:
        """Jobs have ended, well or not: what they were told helped, or did not. Never raises."""

        from engine.memory import using

        if ended and self.begun:
            await self._quietly(lambda archive: using.count_ends(archive, ended))

    async def _quietly(self, operation: Callable[[Archive], None]) -> None:
        try:
            await self.run(operation)
        except HeadwayError as error:
            logger.warning("memory: uses are not counted: %s", error.message)

    async def word(self, name: str) -> str | None:
        """What somebody has left for the next start."""
        return await self.run(lambda archive: archive.ledger.word(name))

    async def set_word(self, name: str, value: str) -> None:
        await self.run(lambda archive: archive.ledger.set_word(name, value))

    async def prune(self, before: int) -> None:
        """Jobs that ended before a time are gone: which of them was told what is of no use any more."""
        if self.begun:
            await self._quietly(lambda archive: archive.ledger.prune(before))

    # ---- the core files

    async def core(self, scope: str) -> CorePart:
        """The core file of a scope as it is told."""
        return core.part(self._home, self.scope(scope), self._settings.memory.core_lines)

    async def set_core(self, scope: str, text: str) -> CorePart:
        """Put a text in its place; an empty one removes it."""
        (self._home / files.FOLDER).mkdir(mode=0o700, exist_ok=True)
        return core.write(self._home, self.scope(scope), self._redact(text), self._settings.memory.core_lines)

    # ---- keeping it

    async def status(self) -> MemoryStatus:
        """What there is, and what finds it."""

        def look(archive: Archive) -> MemoryStatus:
            from engine.memory.archive import MOVING

            archive.embedder()
            size = archive.store.size(archive.model)
            moving = archive.ledger.word(MOVING)
            return MemoryStatus(
                backend=archive.store.backend,
                items=size.items,
                embedded=size.embedded,
                model=archive.model or None,
                bytes=files.bytes_of(self._home),
                without=archive.without,
                problem=archive.store.problem(),
                moving=Backend(moving) if moving is not None else None,
            )

        if not self.begun:
            return MemoryStatus(backend=Backend.SQLITE, items=0, embedded=0, model=None, bytes=0)
        return await self.run(look)

    async def migrate(self, to: Backend) -> Moved:
        """Go on with a migration for a while; `more` says that there is more to do."""

        def go_on(archive: Archive) -> Moved:
            from engine.memory.moving import move

            return move(archive, to, MOVE_SECONDS)

        return await self.run(go_on)


def _unknown(number: int) -> NotFoundError:
    return NotFoundError(f"nothing with the number {number} is remembered; `headway memory list` shows what is")
