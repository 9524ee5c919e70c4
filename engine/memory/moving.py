"""Moving an archive from one backend to another, both ways, in steps. What is killed goes on where it was.

Everything is copied in the order of ids, then both are compared item by item, and only then does the word of the
ledger name the other one. What is left of the old one is removed after that; a kill in between leaves it to the next
start.
"""

from __future__ import annotations

import shutil
import time

from msgspec.structs import replace

from engine.memory import files
from engine.memory.answers import Moved
from engine.memory.archive import BACKEND, MOVING, Archive
from engine.memory.item import Item
from engine.memory.store import Backend, Embedded, MemoryStore

PAGE = 1_000  #: items of one look: for LanceDB one version of the table


def move(archive: Archive, to: Backend, seconds: float) -> Moved:
    """Go on with a migration for about so long. `more` says that it is not done; where it is there, nothing is done.

    Raises `RefusedError` where that backend is not installed.
    """
    source = archive.store
    total = source.size("").items
    if source.backend is to:
        return Moved(to=to, done=total, total=total)
    target = archive.backend(to)
    archive.ledger.set_word(MOVING, str(to))
    begun = time.monotonic()
    after = target.highest()
    try:
        while items := source.page(after, PAGE):
            _copy(source, target, items)
            after = items[-1].id
            if time.monotonic() - begun > seconds:
                return Moved(to=to, done=target.size("").items, total=total, more=True)
        _compare(source, target)
        _switch(archive, target)
    except BaseException:
        if target is not archive.store:
            target.close()
        raise
    return Moved(to=to, done=total, total=total)


def abandon(archive: Archive) -> None:
    """Remove what a migration that is on its way has copied. The next one begins anew."""
    word = archive.ledger.word(MOVING)
    if word is None:
        return
    if Backend(word) is Backend.LANCEDB:
        shutil.rmtree(archive.home / files.LANCE, ignore_errors=True)
    else:
        archive.backend(Backend.SQLITE).clear()
    archive.ledger.set_word(MOVING, None)


def _copy(source: MemoryStore, target: MemoryStore, items: list[Item]) -> None:
    target.put(items)
    by_model: dict[str, list[int]] = {}
    for one in items:
        if one.embed_model is not None:
            by_model.setdefault(one.embed_model, []).append(one.id)
    for model, ids in by_model.items():
        vectors = source.vectors(ids, model)
        if vectors:
            target.embed([Embedded(number, model, vector) for number, vector in vectors.items()])


def copy_all(source: MemoryStore, target: MemoryStore) -> None:
    """Everything of one into another, which is empty."""
    after = 0
    while items := source.page(after, PAGE):
        _copy(source, target, items)
        after = items[-1].id
    target.reserve(source.take(1) - 1)


def _compare(source: MemoryStore, target: MemoryStore) -> None:
    """Make the target what the source is, to the last item: something may have changed since it was copied."""
    after = 0
    while items := source.page(after, PAGE):
        there = target.get([one.id for one in items])
        wrong = [one for one in items if one.id not in there or _plain(there[one.id]) != _plain(one)]
        bare = [one for one in items if one not in wrong and there[one.id].embed_model != one.embed_model]
        if wrong or bare:
            _copy(source, target, [*wrong, *bare])
        after = items[-1].id
    after = 0
    while items := target.page(after, PAGE):
        known = source.get([one.id for one in items])
        if extra := [one.id for one in items if one.id not in known]:
            target.forget(extra)
        after = items[-1].id


def _plain(item: Item) -> Item:
    """Without what a store says of its vector, which it may have to make anew."""
    return replace(item, embed_model=None, embed_dim=None)


def _switch(archive: Archive, target: MemoryStore) -> None:
    source = archive.store
    taken = source.take(1)  # ids that were forgotten are not given again
    target.reserve(taken - 1)
    archive.ledger.set_words({BACKEND: str(target.backend), MOVING: None})
    archive.store = target
    source.clear()  # the database itself stays: the ledger is in it
    source.close()
    if source.backend is Backend.LANCEDB:
        shutil.rmtree(archive.home / files.LANCE, ignore_errors=True)
