"""Taking back what a person did to things that are remembered. What was forgotten is gone, from here too."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.memory.archive import Archive
from engine.memory.item import Item

if TYPE_CHECKING:
    from engine.memory.store import MemoryStore

#: What a use, the end of a job, or another embedder changes: that is no reason to leave a change as it is.
_OF_USE = ("use_count", "last_used_at", "helped", "failed", "embed_model", "embed_dim")


class TakenBack(Struct, frozen=True, kw_only=True):
    """What came of it, by numbers."""

    restored: list[int]
    removed: list[int]
    """Added by the action, and gone again."""
    moved: list[int]
    """Changed since: they stay as they are."""
    gone: list[int]
    """Forgotten since."""

    def words(self) -> str:
        """In a line."""
        told = [
            ("as before", self.restored),
            ("removed again", self.removed),
            ("changed since, and stay", self.moved),
            ("forgotten since, and gone", self.gone),
        ]
        listed = [f"{_numbers(ids)} {what}" for what, ids in told if ids]
        return f"of what is remembered: {'; '.join(listed)}" if listed else "of what is remembered nothing was changed"


class _Watched:
    """A store that notes what things were before they were written for the first time."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.before: dict[int, Item | None] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, items: Sequence[Item]) -> None:
        new = [one.id for one in items if one.id not in self.before]
        there = self._store.get(new)
        self.before.update({number: there.get(number) for number in new})
        self._store.put(items)


@contextlib.contextmanager
def kept(archive: Archive, token: str, now: int) -> Iterator[None]:
    """Keep what the block changes, under the name of an action; empty for one that is not to be taken back."""
    if not token:
        yield
        return
    watched, store = _Watched(archive.store), archive.store
    archive.store = cast("MemoryStore", watched)
    try:
        yield
    finally:
        archive.store = store
    after = store.get(watched.before)
    rows = [
        (token, number, _json(before) if before is not None else None, _json(after[number]), now)
        for number, before in watched.before.items()
        if number in after
    ]
    archive.ledger.keep_changes(rows)


def take_back(archive: Archive, token: str, *, dry_run: bool) -> TakenBack:
    """Let things stand as they did before an action, where they stand as it left them."""
    found = archive.ledger.changes(token)
    there = archive.store.get([number for number, _, _ in found])
    restored: list[Item] = []
    removed: list[int] = []
    moved: list[int] = []
    gone: list[int] = []
    for number, before, after in found:
        now = there.get(number)
        left = msgspec.json.decode(after, type=Item)
        if now is None:
            gone.append(number)
        elif _plain(now) != _plain(left):
            moved.append(number)
        elif before is None:
            removed.append(number)
        else:
            was = msgspec.json.decode(before, type=Item)
            restored.append(replace(was, **{name: getattr(now, name) for name in _OF_USE}))
    if not dry_run:
        archive.store.put(restored)
        if removed:
            archive.store.forget(removed)
            archive.ledger.clean()
        archive.embed_new(restored)
    return TakenBack(restored=[one.id for one in restored], removed=removed, moved=moved, gone=gone)


def _numbers(ids: Sequence[int]) -> str:
    return f"{', '.join(map(str, ids[:10]))}{' and more' if len(ids) > 10 else ''}"


def _plain(item: Item) -> Item:
    return replace(item, **dict.fromkeys(_OF_USE), updated_at=0)


def _json(item: Item) -> str:
    return msgspec.json.encode(item).decode()
