"""What says the same, and what only looks like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.memory.item import Source
from engine.memory.merging import merged, same
from tests.memory.samples import NOW, item


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The API listens on port 8443.", "the api listens on port 8443"),
        ("Run the tests with make test", "Run tests with `make test`!"),
        ("Deploys need two reviews from platform", "Deploys: need two reviews from the platform, please"),
        ("Deploys need two reviews by platform engineers", "Deploys always need two reviews by platform engineers"),
        ("日本 の ポート", "日本 の ポート"),
        ("... !!!", "... !!!"),
    ],
)  # fmt: skip
def test_the_same(one: str, other: str) -> None:
    assert same(one, other) and same(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("the port is 8080", "the port is 8081"),
        ("payments belongs to team blue", "payments belongs to team red"),
        ("a depends on b", "b depends on a"),
        ("auth calls billing", "billing calls auth"),
        (
            "deploy on fridays after the review of all changes",
            "do not deploy on fridays after the review of all changes",
        ),
        ("the build of the main branch takes long these days", "the build of the main branch takes 40 long days"),
        ("x", ""),
        ("...", "!!!"),
    ],
)
def test_not_the_same(one: str, other: str) -> None:
    assert not same(one, other) and not same(other, one)


@given(st.text(max_size=300))
def test_everything_says_what_it_says(text: str) -> None:
    assert same(text, text)


def test_what_is_said_again_is_verified_by_it_and_keeps_where_it_came_from() -> None:
    kept = item(
        1, "tests: make test", importance=0.2, tags=["ci"], source=Source(by="operator", evidence=["Makefile:9"])
    )
    again = item(
        2, "Tests: make test", importance=0.9, tags=["ci", "make"], source=Source(by="outcome", job=7, attempt=1)
    )
    one = merged(kept, again, NOW)
    assert (one.id, one.verified_count, one.last_verified_at, one.importance) == (1, 1, NOW, 0.9)
    assert one.tags == ["ci", "make"]
    assert one.source.by == "operator" and one.source.evidence == ["Makefile:9", "said again by J7"]
