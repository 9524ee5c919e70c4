"""What a person does to memory can be taken back, and what was forgotten is in no copy that would bring it back."""

from __future__ import annotations

import sqlite3

import pytest

from engine.engine import Engine
from engine.errors import NotFoundError
from engine.memory.answers import Change, Forget, Remember, Verb
from engine.memory.item import Draft, Item, Standing

OPERATOR = "operator"

HAMMER = "the zebraquux is mended with a hammer"


async def add(engine: Engine, text: str, **given: object) -> Item:
    (one,) = await engine.remembering.remember(Remember(drafts=[Draft(text=text, **given)]), OPERATOR)  # type: ignore[arg-type]
    return one.item


async def undo(engine: Engine) -> str:
    return (await engine.undo(None, OPERATOR, dry_run=False)).said


async def test_each_verb_is_taken_back_also_after_the_thing_was_used(engine: Engine) -> None:
    old = await add(engine, HAMMER, subject="zebraquux")
    for verb, given in (
        (Verb.RETRACT, {}),
        (Verb.VERIFY, {}),
        (Verb.CONTRADICT, {}),
        (Verb.EDIT, {"text": "another text", "importance": 0.9}),
    ):
        await engine.remembering.change(Change(ids=[old.id], verb=verb, **given), OPERATOR)  # type: ignore[arg-type]
        await engine.memory.note_use([old.id], 1, hash(verb) % 1_000)
        assert await undo(engine) == f"of what is remembered: {old.id} as before"
        now = (await engine.memory.item(old.id)).item
        assert (now.text, now.standing, now.verified_count, now.importance) == (HAMMER, Standing.ACTIVE, 0, 0.5)
    assert now.use_count == 4, "that it was told stays true"
    found = await engine.memory.search("zebraquux hammer")
    assert [part.item.id for part in found.parts] == [old.id]


async def test_what_was_added_goes_again_and_what_it_superseded_holds_again(engine: Engine) -> None:
    old = await add(engine, HAMMER, subject="zebraquux")
    new = await add(engine, "the zebraquux is mended with a spoon", subject="zebraquux")
    assert (await engine.memory.item(old.id)).item.superseded_by == new.id
    assert (await engine.undo(None, OPERATOR, dry_run=True)).said.startswith("of what is remembered: ")
    assert (await engine.memory.item(new.id)).item.standing is Standing.ACTIVE, "a dry run changes nothing"
    assert await undo(engine) == f"of what is remembered: {old.id} as before; {new.id} removed again"
    assert (await engine.memory.item(old.id)).item.standing is Standing.ACTIVE
    with pytest.raises(NotFoundError):
        await engine.memory.item(new.id)


async def test_what_has_changed_since_stays(engine: Engine) -> None:
    one = await add(engine, HAMMER)
    await engine.remembering.change(Change(ids=[one.id], verb=Verb.EDIT, text="a second text"), OPERATOR)
    await engine.memory.change(Change(ids=[one.id], verb=Verb.EDIT, text="a third text"))
    assert await undo(engine) == f"of what is remembered: {one.id} changed since, and stay"
    assert (await engine.memory.item(one.id)).item.text == "a third text"


async def test_what_is_forgotten_does_not_come_back_and_is_nowhere(engine: Engine) -> None:
    one = await add(engine, HAMMER)
    await engine.remembering.change(Change(ids=[one.id], verb=Verb.EDIT, text="a second text"), OPERATOR)
    await engine.remembering.forget(Forget(ids=[one.id]), OPERATOR)
    assert await undo(engine) == "1 forgotten things cannot come back: nothing of them was kept"
    assert await undo(engine) == "of what is remembered nothing was changed"
    with sqlite3.connect(engine.home / "headway.db") as connection:
        assert "zebraquux" not in "\n".join(connection.iterdump())
    assert b"zebraquux" not in (engine.home / "memory.db").read_bytes()
