"""Who is heard, and what of it counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cluster.fencing import Fence, FencedError, Sorted, sort


@given(st.lists(st.integers(0, 9)))
def test_no_epoch_is_heard_after_a_higher_one(epochs: list[int]) -> None:
    fence, heard = Fence(), []
    for epoch in epochs:
        try:
            fence = fence.hear(epoch)
            heard.append(epoch)
        except FencedError:
            assert epoch < max(heard)
    assert heard == sorted(heard)
    assert [one for one in epochs if one == max(epochs)] == [one for one in heard if one == max(epochs)]


def test_a_returning_node_keeps_what_is_its_own() -> None:
    given_to = {1: "a", 2: "b", 3: "a", 4: None}
    assert sort([1, 2, 4, 9], given_to, "a") == Sorted(frozenset({1}), frozenset({2, 4, 9}), frozenset({3}))


def test_the_error_says_who_came_after() -> None:
    with pytest.raises(FencedError, match="epoch 1 has been replaced by that of 2"):
        Fence(2).hear(1)
