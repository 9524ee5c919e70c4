"""Memory as its users have it: what is written, merged, superseded, found, and forgotten, on both backends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.config import Embedder, MemorySettings, ProjectSettings
from engine.errors import NotFoundError, RefusedError, UsageError
from engine.memory.answers import Change, Forget, Import, Remember, Verb, What, Written
from engine.memory.item import Draft, Item, Kind, Source, Standing
from engine.memory.memory import Memory
from engine.memory.portable import Format, read, write
from engine.memory.store import Backend
from engine.redact import MARK, Secrets
from tests.memory.samples import memory


@pytest.fixture
async def kept(home: Path, backend: Backend) -> AsyncIterator[Memory]:
    """The memory of a home, in one of the backends, with the real embedder."""
    one = memory(home, projects={"api": ProjectSettings(path="/src/api")})
    if backend is Backend.LANCEDB:
        await one.migrate(backend)
    yield one
    await one.close()


async def add(one: Memory, text: str, **given: object) -> Written:
    (written,) = await one.remember(Remember(drafts=[Draft(text=text, **given)]))  # type: ignore[arg-type]
    return written


async def numbers(one: Memory, question: str, *scopes: str) -> list[int]:
    return [part.item.id for part in (await one.search(question, scopes)).parts]


async def test_what_is_added_is_found_by_words_and_by_meaning(kept: Memory) -> None:
    port = (await add(kept, "The billing service listens on port 8443", scope="project:api")).item
    await add(kept, "Holiday calendars are kept in the wiki")
    assert port.scope == "project:/src/api"
    assert (await numbers(kept, "billing ports"))[0] == port.id
    found = await kept.search("which socket does the invoice server use")
    assert found.model is not None and not found.without
    assert found.parts[0].item.id == port.id and found.parts[0].terms.text == 0.0 < (found.parts[0].terms.vector or 0)
    assert await numbers(kept, "billing ports", "global") == []
    assert await numbers(kept, "the calendar of holidays", "global") == [2]


async def test_what_is_known_is_verified_by_being_said_again(kept: Memory) -> None:
    first = await add(kept, "Tests are run with make test")
    again = await add(kept, "tests run with `make test`", source=Source(by="outcome", job=3))
    assert (again.what, again.item.id, again.item.verified_count) == (What.MERGED, first.item.id, 1)
    assert "said again by J3" in again.item.source.evidence
    elsewhere = await add(kept, "Tests are run with make test", scope="project:api")
    assert elsewhere.what is What.ADDED


async def test_a_newer_word_on_a_subject_takes_the_place_of_the_older(kept: Memory) -> None:
    old = await add(kept, "The API listens on port 8080", subject="API  port")
    new = await add(kept, "The API listens on port 8443", subject="api port")
    assert new.superseded == [old.item.id]
    found = await kept.search("which port does the API listen on")
    assert [part.item.id for part in found.parts] == [new.item.id, old.item.id]
    assert found.parts[1].terms.why == "superseded" and found.parts[1].item.superseded_by == new.item.id
    named = await add(kept, "It is 9000 by now", supersedes=[new.item.id])
    assert (await kept.item(new.item.id)).item.superseded_by == named.item.id
    assert (await kept.item(named.item.id)).before == [new.item.id]


async def test_what_took_the_place_is_found_even_if_nothing_of_it_fits(kept: Memory) -> None:
    old = await add(kept, "the zebraquux listens on port 8080")
    await add(kept, "all of that was moved", supersedes=[old.item.id])
    assert 2 in await numbers(kept, "zebraquux")


async def test_the_verbs_do_what_they_say_to_all_or_to_none(kept: Memory) -> None:
    one, other = (await add(kept, "one zebraquux thing")).item.id, (await add(kept, "another zebraquux fact")).item.id
    for verb, standing in ((Verb.RETRACT, Standing.RETRACTED), (Verb.RESTORE, Standing.ACTIVE)):
        await kept.change(Change(ids=[one, other], verb=verb))
        assert {item.standing for item in await kept.items()} == {standing}
        assert len(await numbers(kept, "zebraquux")) == (0 if verb is Verb.RETRACT else 2)
    with pytest.raises(NotFoundError, match="number 99"):
        await kept.change(Change(ids=[one, 99], verb=Verb.RETRACT))
    assert (await kept.item(one)).item.standing is Standing.ACTIVE
    (seen,) = await kept.change(Change(ids=[one], verb=Verb.VERIFY, verify_by=5))
    assert (seen.verified_count, seen.verify_by) == (1, 5) and seen.last_verified_at
    (doubted,) = await kept.change(Change(ids=[one], verb=Verb.CONTRADICT))
    assert doubted.contradicted_count == 1
    (gone,) = await kept.change(Change(ids=[one], verb=Verb.SUPERSEDE, by=other))
    assert (gone.standing, gone.superseded_by) == (Standing.SUPERSEDED, other)
    with pytest.raises(RefusedError, match="superseded itself"):
        await kept.change(Change(ids=[other], verb=Verb.SUPERSEDE, by=one))
    with pytest.raises(UsageError, match="own place"):
        await kept.change(Change(ids=[other], verb=Verb.SUPERSEDE, by=other))
    (edited,) = await kept.change(Change(ids=[other], verb=Verb.EDIT, text="quaggaword", tags=["t"]))
    assert (edited.text, edited.tags) == ("quaggaword", ["t"])
    assert await numbers(kept, "quaggaword") == [other, one]


async def test_a_dry_run_writes_nothing(kept: Memory) -> None:
    old = await add(kept, "The API listens on port 8080", subject="api port")
    draft = Draft(text="The API listens on port 8443", subject="api port")
    (would,) = await kept.remember(Remember(drafts=[draft], dry_run=True))
    assert (would.what, would.superseded) == (What.ADDED, [old.item.id])
    await kept.change(Change(ids=[old.item.id], verb=Verb.RETRACT, dry_run=True))
    await kept.forget(Forget(ids=[old.item.id], dry_run=True))
    assert await kept.items() == [(await kept.item(old.item.id)).item]
    assert (await kept.item(old.item.id)).item.standing is Standing.ACTIVE


async def test_what_is_proposed_is_found_once_it_is_accepted(kept: Memory) -> None:
    done = await add(kept, "To mend the zebraquux, restart it", kind=Kind.PROCEDURE, proposed=True)
    assert await numbers(kept, "zebraquux") == []
    again = await add(kept, "to mend the zebraquux: restart it", kind=Kind.PROCEDURE, proposed=True)
    assert again.what is What.MERGED and again.item.standing is Standing.PROPOSED
    await kept.change(Change(ids=[done.item.id], verb=Verb.ACCEPT))
    assert await numbers(kept, "zebraquux") == [done.item.id]
    with pytest.raises(RefusedError, match="not proposed"):
        await kept.change(Change(ids=[done.item.id], verb=Verb.ACCEPT))


async def test_keys_are_kept_out_of_all_that_is_written(home: Path, backend: Backend) -> None:
    secrets = Secrets()
    secrets.learn(["sk-zebraquux-0123456789"])
    one = memory(home, secrets=secrets)
    if backend is Backend.LANCEDB:
        await one.migrate(backend)
    source = Source(evidence=["see sk-zebraquux-0123456789"])
    written = await add(one, "the key is sk-zebraquux-0123456789", subject="of sk-zebraquux-0123456789", source=source)
    assert written.item.text == f"the key is {MARK}" and written.item.source.evidence == [f"see {MARK}"]
    await one.change(Change(ids=[1], verb=Verb.EDIT, text="it is sk-zebraquux-0123456789 still"))
    await one.set_core("global", "- sk-zebraquux-0123456789")
    await one.bring_in(Import(items=[Item(**{**_plain(written.item), "id": 9, "text": "sk-zebraquux-0123456789"})]))
    await one.close()
    assert not _files_with(home, b"zebraquux-0123")


def _plain(item: Item) -> dict[str, object]:
    return {name: getattr(item, name) for name in item.__struct_fields__}


def _files_with(home: Path, word: bytes) -> list[str]:
    return [str(path) for path in home.rglob("*") if path.is_file() and word in path.read_bytes()]


@pytest.mark.parametrize("others", [0, 40])
async def test_nothing_of_what_is_forgotten_is_left_in_any_file(
    home: Path, backend: Backend, kept: Memory, others: int
) -> None:
    """While it is open: its journal, the pages of its file, the index, the cache of vectors, LanceDB's versions."""
    await kept.remember(Remember(drafts=[Draft(text=f"a plain thing with number {n}") for n in range(others + 1)]))
    told = await add(
        kept, "the zebraquux password hint is quaggaword", subject="okapiword",
        source=Source(job=4, attempt=1, evidence=["numbatword"]),
    )  # fmt: skip
    await kept.change(Change(ids=[told.item.id], verb=Verb.EDIT, text="the zebraquux hint is wombatword now"))
    await kept.note_use([told.item.id], 7, 2)
    assert told.item.id in await numbers(kept, "zebraquux")
    vector = await kept.run(
        lambda archive: archive.store.vectors([told.item.id], archive.model)[told.item.id].tobytes()
    )
    words = [b"zebraquux", b"wombatword", b"okapiword", b"numbatword", vector]
    for word in words:
        assert _files_with(home, word), f"{word!r} is to be gone, and has to have been there"
    done = await kept.forget(Forget(ids=[told.item.id]))
    assert (done.ids, done.told, done.jobs, done.pending) == ([told.item.id], ["J7 attempt 2"], [4], False)
    for word in (*words, b"quaggaword", b"zebraquu"):
        assert _files_with(home, word) == []
    if backend is Backend.LANCEDB:
        assert len(list((home / "memory.lance").rglob("*.manifest"))) == 1
    with pytest.raises(NotFoundError):
        await kept.item(told.item.id)


async def test_an_export_comes_back_as_it_was_in_both_forms(kept: Memory, home: Path, tmp_path: Path) -> None:
    await add(kept, "The API listens on port 8080", subject="api port", tags=["a", "b/c"], importance=0.25)
    await add(kept, "## not a heading\n\n<!-- headway: {} -->\n\\# nor this\n-->", kind=Kind.EPISODE, transcript="t",
              position=0)  # fmt: skip
    await add(kept, "The API listens on port 8443", subject="api port", source=Source(job=3, evidence=["x --> y"]))
    await kept.change(Change(ids=[2], verb=Verb.RETRACT))
    items = await kept.items(after=0)
    for form in Format:
        text = b"".join(write(items, form))
        back = read(text, "it")
        assert back == [Item(**{**_plain(one), "embed_model": None, "embed_dim": None}) for one in items]
        assert (await kept.bring_in(Import(items=back))).known == 3
        other = memory(tmp_path / f"other-{form}")
        assert (await other.bring_in(Import(items=back))).added == 3
        assert [_bare(one) for one in await other.items(after=0)] == [_bare(one) for one in items]
        assert (await numbers(other, "which port"))[0] == 3
        await other.close()


def _bare(item: Item) -> Item:
    return Item(**{**_plain(item), "embed_model": None, "embed_dim": None})


async def test_an_import_gives_new_numbers_where_they_are_taken(kept: Memory, tmp_path: Path) -> None:
    other = memory(tmp_path / "other")
    await add(other, "old port 1", subject="port")
    await add(other, "new port 2", subject="port")
    items = await other.items(after=0)
    await other.close()
    await add(kept, "something else")
    assert (await kept.bring_in(Import(items=items))).added == 2
    by_text = {one.text: one for one in await kept.items(after=0)}
    assert by_text["something else"].id == 1
    assert by_text["old port 1"].superseded_by == by_text["new port 2"].id
    assert len({one.id for one in by_text.values()}) == 3


@pytest.mark.parametrize("text", ["# What\n\n## 1 fact\n\nno facts\n", "{", '{"id": 1}', "\xff"])
async def test_what_is_no_export_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(UsageError, match="it"):
        read(text.encode("latin-1"), "it")


async def test_recall_keeps_to_its_scopes_and_its_budget(kept: Memory) -> None:
    await kept.set_core("global", "- be brief")
    await kept.set_core("project:api", "- tests: make test")
    await add(kept, "the zebraquux belongs to the api", scope="project:api")
    await add(kept, "the zebraquux belongs to another", scope="project:/elsewhere")
    await add(kept, f"{'the zebraquux is long ' * 60}")
    recalled = await kept.recall("zebraquux", ["global", "project:api"], budget=100)
    assert [one.scope for one in recalled.core] == ["global", "project:/src/api"]
    assert [part.item.id for part in recalled.parts] == [1] and recalled.left == 1
    assert recalled.tokens <= 100
    recalled = await kept.recall("zebraquux", ["global", "project:api"], budget=5_000)
    assert sorted(part.item.id for part in recalled.parts) == [1, 3]


async def test_uses_and_the_ends_of_their_jobs_are_counted_once(kept: Memory) -> None:
    one = (await add(kept, "one thing")).item.id
    for _ in range(2):
        await kept.note_use([one], 7, 1)
    await kept.note_use([one], 7, 2)
    await kept.note_ends({7: True, 8: False})
    await kept.note_ends({7: True})
    found = await kept.item(one)
    assert (found.item.use_count, found.item.helped, found.item.failed) == (2, 1, 0)
    assert sorted(found.uses) == ["J7 attempt 1", "J7 attempt 2"]
    await kept.prune(found.item.last_used_at + 1 if found.item.last_used_at else 0)
    assert (await kept.item(one)).uses == []


async def test_nothing_is_made_by_asking(home: Path) -> None:
    one = memory(home)
    assert (await one.search("x")).parts == [] and await one.items() == []
    assert (await one.recall("x", ["global"])).parts == []
    assert (await one.status()).items == 0
    with pytest.raises(NotFoundError):
        await one.forget(Forget(ids=[1]))
    await one.close()
    assert list(home.iterdir()) == []


async def test_without_vectors_words_are_enough_and_vectors_come_later(home: Path, backend: Backend) -> None:
    """As on a machine where the extra is installed later, or the embedder is changed."""
    bare = memory(home, MemorySettings(embedder=Embedder.NONE))
    if backend is Backend.LANCEDB:
        await bare.migrate(backend)
    await add(bare, "The billing service listens on port 8443")
    await add(bare, "Cats are kept out of the data centre")
    found = await bare.search("billing port")
    assert [part.item.id for part in found.parts] == [1]
    assert found.model is None and found.parts[0].terms.vector is None and not found.without
    await bare.close()
    full = memory(home)
    keeping = asyncio.create_task(full.keep())
    async with asyncio.timeout(60):
        while (status := await full.status()).embedded < 2:
            await asyncio.sleep(0.01)
    assert status.model is not None
    assert await numbers(full, "invoice server socket")
    keeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeping
    await full.close()


@pytest.mark.parametrize("word", ["nowhere", "project:", "project:unknown", "persona:", "persona:../x", "team:x", ""])
async def test_a_scope_that_is_none_is_refused(home: Path, word: str) -> None:
    one = memory(home, projects={"api": ProjectSettings(path="/src/api")})
    with pytest.raises(UsageError):
        await add(one, "x", scope=word or "?")
    await one.close()
