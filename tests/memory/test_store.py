"""What every backend of an archive promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.memory.archive import Archive
from engine.memory.item import Item, Kind, Source, Standing
from engine.memory.store import Embedded, MemoryStore, Which
from tests.memory.samples import NOW, item, vector

FULL = Item(
    id=7,
    scope="project:/src/api",
    kind=Kind.DECISION,
    text="We deploy on 'Tuesdays'; -- and never on \"Fridays\"\n\\ % _ ünïcode 日本",
    created_at=NOW,
    updated_at=NOW + 1,
    standing=Standing.SUPERSEDED,
    subject="deploy day",
    tags=["ops", "release/train"],
    valid_from=NOW - 5,
    valid_to=NOW + 5,
    verify_by=NOW + 9,
    superseded_by=8,
    importance=0.123456789,
    use_count=3,
    last_used_at=NOW - 1,
    helped=2,
    failed=1,
    verified_count=4,
    contradicted_count=1,
    last_verified_at=NOW - 2,
    source=Source(by="outcome", job=12, attempt=2, evidence=["runs/12/2", "a.py:3"]),
    transcript="J12/1",
    position=0,
)


def test_an_item_comes_back_as_it_was(store: MemoryStore) -> None:
    bare = item(8, "the api listens on 8080")
    store.put([FULL, bare])
    assert store.get([7, 8, 9]) == {7: FULL, 8: bare}


def test_numbers_are_never_given_twice(store: MemoryStore) -> None:
    first = store.take(2)
    store.put([item(first, "one thing"), item(first + 1, "another thing")])
    store.forget([first + 1])
    assert store.take(1) > first + 1
    store.reserve(900)
    assert store.take(1) == 901
    assert store.highest() == first


def test_lists_are_in_order_and_filtered(store: MemoryStore) -> None:
    store.put(
        [
            item(3, "c", updated_at=NOW + 30, scope="persona:ada"),
            item(1, "a", updated_at=NOW + 20, kind=Kind.DECISION),
            item(2, "b", updated_at=NOW + 10, standing=Standing.RETRACTED, subject="it"),
        ]
    )
    assert [one.id for one in store.page(0, 10)] == [1, 2, 3]
    assert [one.id for one in store.page(1, 1)] == [2]
    assert [one.id for one in store.newest(2)] == [3, 1]
    for which, ids in (
        (Which(scopes=("persona:ada",)), [3]),
        (Which(scopes=("persona:nobody",)), []),
        (Which(kinds=(Kind.DECISION, Kind.OUTCOME)), [1]),
        (Which(standings=(Standing.RETRACTED,)), [2]),
        (Which(subject="it"), [2]),
    ):
        assert [one.id for one in store.page(0, 10, which)] == ids


def test_text_is_found_by_its_stems_and_in_its_scopes(store: MemoryStore) -> None:
    store.put(
        [
            item(1, "the billing service listens on port 8443", scope="project:/src/api"),
            item(2, "listening sockets are closed on shutdown"),
            item(3, "nothing of that sort"),
            item(4, "it listened once", standing=Standing.RETRACTED),
            item(5, "billing listens too", standing=Standing.PROPOSED),
        ]
    )
    found = store.by_text(["listen", "billing"], (), 10)
    assert [number for number, _ in found] == [1, 2]
    assert found[0][1] > found[1][1] > 0
    assert [number for number, _ in store.by_text(["listen"], ["global"], 10)] == [2]
    assert [number for number, _ in store.by_text(["listen"], ["global", "project:/src/api"], 1)]
    assert store.by_text(["listen"], ["project:/elsewhere"], 10) == []
    assert store.by_text([], (), 10) == []


def test_what_is_changed_is_found_by_its_new_words_alone(store: MemoryStore) -> None:
    store.put([item(1, "the port is zebraquux")])
    store.put([item(1, "the port is eighty")])
    assert store.by_text(["zebraquux"], (), 10) == []
    assert [number for number, _ in store.by_text(["eighty"], (), 10)] == [1]
    store.put([item(1, "the port is eighty", standing=Standing.RETRACTED)])
    assert store.by_text(["eighty"], (), 10) == []


def test_the_nearest_vectors_are_found_in_their_scopes(store: MemoryStore) -> None:
    store.put([item(1, "one"), item(2, "two", scope="project:/p"), item(3, "three"), item(4, "four")])
    store.embed(
        [
            Embedded(1, "m", vector(1, 0)),
            Embedded(2, "m", vector(0.8, 0.6)),
            Embedded(3, "m", vector(0, 1)),
        ]
    )
    found = store.by_vector(vector(1, 0), "m", (), 10)
    assert [number for number, _ in found] == [1, 2, 3]
    assert [cosine for _, cosine in found] == pytest.approx([1.0, 0.8, 0.0], abs=1e-6)
    assert [number for number, _ in store.by_vector(vector(1, 0), "m", ["project:/p"], 10)] == [2]
    assert store.by_vector(vector(1, 0), "m", ["persona:x"], 10) == []
    assert store.by_vector(vector(1, 0), "another", (), 10) == []
    assert store.by_vector(vector(1, dim=5), "m", (), 10) == []
    assert [number for number, _ in store.by_vector(vector(1, 0), "m", (), 2)] == [1, 2]
    assert store.get([1])[1].embed_model == "m" and store.get([1])[1].embed_dim == 8
    assert np.allclose(store.vectors([2, 4], "m")[2], vector(0.8, 0.6))
    assert store.vectors([4], "m") == {}


def test_a_vector_goes_with_its_text_and_stays_with_all_else(store: MemoryStore) -> None:
    store.put([item(1, "one"), item(2, "two")])
    store.embed([Embedded(1, "m", vector(1)), Embedded(2, "m", vector(0, 1))])
    store.put([item(1, "one", use_count=5, scope="project:/p")])
    assert [number for number, _ in store.by_vector(vector(1), "m", ["project:/p"], 10)] == [1]
    assert store.unembedded("m", 10) == []
    store.put([item(1, "one more", scope="project:/p")])
    assert [number for number, _ in store.by_vector(vector(1), "m", (), 10)] == [2]
    assert [one.id for one in store.unembedded("m", 10)] == [1]
    store.put([item(2, "two", standing=Standing.RETRACTED)])
    assert store.by_vector(vector(0, 1), "m", (), 10) == []
    store.put([item(2, "two")])
    store.embed([Embedded(1, "m", vector(0, 0, 1)), Embedded(2, "m", vector(0, 1))])
    assert [number for number, _ in store.by_vector(vector(0, 0, 1), "m", (), 1)] == [1]


def test_another_model_takes_the_place_of_the_vectors_one_by_one(store: MemoryStore) -> None:
    store.put([item(1, "one"), item(2, "two")])
    store.embed([Embedded(1, "old", vector(1)), Embedded(2, "old", vector(1))])
    assert [one.id for one in store.unembedded("new", 10)] == [1, 2]
    store.embed([Embedded(1, "new", vector(1, dim=12))])
    assert [number for number, _ in store.by_vector(vector(1, dim=12), "new", (), 10)] == [1]
    assert [one.id for one in store.unembedded("new", 10)] == [2]
    store.embed([Embedded(2, "new", vector(0, 1, dim=12)), Embedded(9, "new", vector(1, dim=12))])
    assert [number for number, _ in store.by_vector(vector(0, 1, dim=12), "new", (), 10)] == [2, 1]
    assert store.size("new").embedded == 2 and store.size("new").items == 2


def test_pieces_of_a_transcript_know_their_neighbours(store: MemoryStore) -> None:
    pieces = [item(n, f"piece {n}", kind=Kind.EPISODE, transcript="it's", position=n) for n in range(1, 6)]
    store.put([*pieces, item(9, "elsewhere", kind=Kind.EPISODE, transcript="other", position=3)])
    assert sorted(one.id for one in store.beside([pieces[1], pieces[4]])) == [1, 3, 4]
    assert store.beside([item(1, "no piece")]) == []


def test_what_is_forgotten_is_nowhere(store: MemoryStore, home: Path) -> None:
    store.put([item(1, "the zebraquux secret", subject="quaggaword", superseded_by=2), item(2, "plain"), item(3, "x")])
    store.put([item(3, "x", standing=Standing.SUPERSEDED, superseded_by=1)])
    store.embed([Embedded(1, "m", vector(0.6, 0.8)), Embedded(2, "m", vector(1))])
    assert store.by_vector(vector(0.6, 0.8), "m", (), 1)[0][0] == 1
    assert store.forget([1, 77]) == 1
    assert store.get([1]) == {}
    assert store.get([3])[3].superseded_by is None
    assert store.by_text(["zebraquux", "quaggaword"], (), 10) == []
    assert [number for number, _ in store.by_vector(vector(0.6, 0.8), "m", (), 10)] == [2]


def test_clearing_leaves_nothing_and_the_store_in_use(store: MemoryStore) -> None:
    store.put([item(1, "one")])
    store.embed([Embedded(1, "m", vector(1))])
    store.clear()
    assert store.size("m").items == 0
    assert store.by_text(["one"], (), 5) == [] and store.by_vector(vector(1), "m", (), 5) == []
    store.put([item(5, "five")])
    assert [number for number, _ in store.by_text(["five"], (), 5)] == [5]


def test_what_was_written_is_there_for_the_next_process(opened: Archive, home: Path) -> None:
    opened.store.put([item(1, "one thing"), item(2, "another thing")])
    opened.store.embed([Embedded(1, "m", vector(1)), Embedded(2, "m", vector(0, 1))])
    before = opened.store.by_vector(vector(0.9, 0.1), "m", (), 5)
    backend = opened.store.backend
    opened.close()
    again = Archive.open(home, opened.settings)
    try:
        assert again.store.backend is backend
        assert again.store.by_vector(vector(0.9, 0.1), "m", (), 5) == before
        assert [number for number, _ in again.store.by_text(["another"], (), 5)] == [2]
    finally:
        again.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=200))
def test_any_text_can_be_kept_searched_and_removed(store: MemoryStore, text: str) -> None:
    one = item(1, text, subject=text[:50], transcript=text[:20], position=3, kind=Kind.EPISODE)
    store.put([one])
    assert store.get([1]) == {1: one}
    assert [found.id for found in store.page(0, 5, Which(subject=text[:50]))] == [1]
    from engine.memory.terms import terms_of

    store.by_text(terms_of(text), ["global"], 5)
    store.put([replace(one, text="other")])
    assert store.forget([1]) == 1
    assert store.mend() == [] and store.problem() == ""
