"""Writing into an archive: what is known already is merged, what contradicts takes the place of what it contradicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from engine.errors import NotFoundError, RefusedError, UsageError
from engine.memory.answers import Change, Imported, Verb, What, Written
from engine.memory.archive import Archive
from engine.memory.item import Draft, Item, Kind, Standing
from engine.memory.merging import merged, same
from engine.memory.store import Which
from engine.memory.terms import terms_of
from engine.plain import plain

LOOK_ALIKE = 10  #: items of the same scope and kind, the nearest by words, that a new one is compared with
PROPOSED = 200  #: the newest proposals, which no search finds
#: Of these, an older one about the same subject does not hold any more. An outcome and an episode stay what they were.
CONTRADICTED = frozenset({Kind.FACT, Kind.DECISION, Kind.PREFERENCE, Kind.PROCEDURE})

Redact = Callable[[str], str]


def remember(archive: Archive, drafts: Sequence[tuple[Draft, str]], redact: Redact, now: int) -> list[Written]:
    """Write drafts, each with its scope. What one of them writes, the next one knows.

    Raises `NotFoundError` for one that is to supersede something that is not there.
    """
    written = []
    for draft, scope in drafts:
        item = _cleaned(draft.as_item(0, scope, now), redact)
        if not item.text:
            raise UsageError("there is nothing to remember in an empty text")
        written.append(_one(archive, item, draft, now))
    archive.embed_new([one.item for one in written])
    return written


def foresee(archive: Archive, drafts: Sequence[tuple[Draft, str]], redact: Redact, now: int) -> list[Written]:
    """What `remember` would do with each of them by itself. Writes nothing."""
    foreseen = []
    for draft, scope in drafts:
        item = _cleaned(draft.as_item(0, scope, now), redact)
        twin = _twin(archive, item)
        if twin is not None and not draft.supersedes:
            foreseen.append(Written(what=What.MERGED, item=merged(twin, item, now)))
        else:
            superseded = _superseded(archive, item, draft.supersedes)
            foreseen.append(Written(what=What.ADDED, item=item, superseded=[one.id for one in superseded]))
    return foreseen


def _one(archive: Archive, item: Item, draft: Draft, now: int) -> Written:
    store = archive.store
    twin = _twin(archive, item)
    if twin is not None and not draft.supersedes:
        known = merged(twin, item, now)
        if twin.standing is Standing.PROPOSED and item.standing is Standing.ACTIVE:
            known = replace(known, standing=Standing.ACTIVE)
        store.put([known])
        return Written(what=What.MERGED, item=known)
    superseded = _superseded(archive, item, draft.supersedes)
    item = replace(item, id=store.take(1))
    gone = [replace(one, standing=Standing.SUPERSEDED, superseded_by=item.id, updated_at=now) for one in superseded]
    store.put([item, *(replace(one, valid_to=one.valid_to or item.created_at) for one in gone)])
    return Written(what=What.ADDED, item=item, superseded=[one.id for one in gone])


def _cleaned(item: Item, redact: Redact) -> Item:
    """Without keys that are known, and without what only a terminal understands."""

    def clean(text: str) -> str:
        return redact(plain(text)).strip()

    source = replace(item.source, evidence=[clean(one) for one in item.source.evidence])
    return replace(
        item,
        text=clean(item.text),
        subject=" ".join(clean(item.subject).split()).casefold() or None if item.subject is not None else None,
        tags=[clean(tag) for tag in item.tags],
        source=source,
        transcript=clean(item.transcript) if item.transcript is not None else None,
    )


def _twin(archive: Archive, item: Item) -> Item | None:
    """What says the same already, in the same scope, of the same kind."""
    if item.kind is Kind.EPISODE:
        return None  # a conversation may say a thing twice
    found = archive.store.get([one for one, _ in archive.store.by_text(terms_of(item.words), [item.scope], LOOK_ALIKE)])
    alike = list(found.values())
    if item.kind is Kind.PROCEDURE or item.standing is Standing.PROPOSED:
        alike += archive.store.newest(PROPOSED, Which((item.scope,), (item.kind,), (Standing.PROPOSED,)))
    for one in alike:
        holds = one.standing in (Standing.ACTIVE, Standing.PROPOSED) and one.kind is item.kind
        if holds and _subjects_agree(one, item) and same(one.text, item.text):
            return one
    return None


def _subjects_agree(one: Item, other: Item) -> bool:
    if one.subject is None or other.subject is None:
        return True
    return one.subject == other.subject


def _superseded(archive: Archive, item: Item, named: Sequence[int]) -> list[Item]:
    """What a new item takes the place of: what it names, and what is known about the same subject in the same scope."""
    there = archive.store.get(named)
    if missing := [number for number in named if number not in there]:
        raise _unknown(missing)
    found = {number: one for number, one in there.items() if one.standing is not Standing.RETRACTED}
    if item.subject is not None and item.kind in CONTRADICTED and item.standing is Standing.ACTIVE:
        about = archive.store.newest(PROPOSED, Which((item.scope,), (), (Standing.ACTIVE,), item.subject))
        found |= {one.id: one for one in about if one.kind in CONTRADICTED and one.id != item.id}
    return list(found.values())


def bring_in(archive: Archive, items: Sequence[Item], redact: Redact, *, dry_run: bool) -> Imported:
    """Write items of an export. What is there already, word for word, stays; a number that is taken is given anew."""
    cleaned = [_cleaned(one, redact) for one in items]
    there = archive.store.get([one.id for one in cleaned])
    fresh = [one for one in cleaned if one.id not in there or not _is(one, there[one.id])]
    if dry_run or not fresh:
        return Imported(added=len(fresh), known=len(cleaned) - len(fresh))
    archive.store.reserve(max(one.id for one in cleaned))
    numbers = {one.id: archive.store.take(1) if one.id in there else one.id for one in fresh}
    known = archive.store.get({one.superseded_by for one in fresh if one.superseded_by is not None})
    written = []
    for one in fresh:
        by = one.superseded_by
        by = numbers.get(by, by if by in known or by in there else None) if by is not None else None
        written.append(replace(one, id=numbers[one.id], superseded_by=by))
    archive.store.put(written)
    archive.embed_new(written)
    return Imported(added=len(fresh), known=len(cleaned) - len(fresh))


def _is(one: Item, other: Item) -> bool:
    return (one.scope, one.kind, one.text, one.created_at) == (other.scope, other.kind, other.text, other.created_at)


# ---- what the operator does to what is there


def change(archive: Archive, change: Change, redact: Redact, now: int) -> list[Item]:
    """Carry out a change on all that it names, or on none. Raises `NotFoundError`, `RefusedError`, `UsageError`."""
    there = archive.store.get(change.ids)
    if missing := [number for number in change.ids if number not in there]:
        raise _unknown(missing)
    if change.verb is Verb.SUPERSEDE:
        _check_successor(archive, change)
    if change.verb is Verb.EDIT and change.text is not None and len(change.ids) > 1:
        raise UsageError("one text is given to one thing: name one")
    changed = [_cleaned(_changed(there[number], change, now), redact) for number in dict.fromkeys(change.ids)]
    if not change.dry_run:
        archive.store.put(changed)
        archive.embed_new([one for one in changed if (one.found and one.words != there[one.id].words) or _back(change)])
    return changed


def _back(change: Change) -> bool:
    return change.verb in (Verb.RESTORE, Verb.ACCEPT)


def _check_successor(archive: Archive, change: Change) -> None:
    if change.by is None:
        raise UsageError("say what has taken its place: the number of another one")
    if change.by in change.ids:
        raise UsageError(f"{change.by} cannot take its own place")
    successor = archive.store.get([change.by]).get(change.by)
    if successor is None:
        raise _unknown([change.by])
    if successor.standing is not Standing.ACTIVE:
        raise RefusedError(f"{change.by} is {successor.standing} itself: it cannot take the place of another one")


def _changed(item: Item, change: Change, now: int) -> Item:
    verb = change.verb
    if verb is Verb.EDIT:
        given = {
            name: value
            for name in ("text", "subject", "tags", "importance", "valid_to", "verify_by")
            if (value := getattr(change, name)) is not None
        }
        if not given:
            raise UsageError("say what is to be changed: its text, subject, tags, importance or dates")
        return replace(item, **given, updated_at=now)
    if verb is Verb.ACCEPT and item.standing is not Standing.PROPOSED:
        raise RefusedError(f"{item.id} is {item.standing}, and was not proposed")
    if verb in (Verb.VERIFY, Verb.CONTRADICT) and item.standing is Standing.RETRACTED:
        raise RefusedError(f"{item.id} is retracted; `headway memory restore {item.id}` brings it back first")
    seen = {"last_verified_at": now, "verify_by": change.verify_by}
    made: dict[Verb, dict[str, object]] = {
        Verb.VERIFY: {"verified_count": item.verified_count + 1, **seen},
        Verb.CONTRADICT: {"contradicted_count": item.contradicted_count + 1},
        Verb.ACCEPT: {"standing": Standing.ACTIVE, **seen},
        Verb.RETRACT: {"standing": Standing.RETRACTED},
        Verb.RESTORE: {"standing": Standing.ACTIVE, "superseded_by": None, "valid_to": change.valid_to, **seen},
        Verb.SUPERSEDE: {"standing": Standing.SUPERSEDED, "superseded_by": change.by, "valid_to": item.valid_to or now},
    }
    return replace(item, **made[verb], updated_at=now)


def _unknown(ids: Sequence[int]) -> NotFoundError:
    named = ", ".join(str(number) for number in ids[:5])
    return NotFoundError(f"nothing with the number {named} is remembered; `headway memory list` shows what is")
