"""What targets wish for, and what nodes have room for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import Settings
from engine.config.cluster import ClusterSettings, WishSettings
from engine.dispatch.nodes import Nodes, Room, Wish, Wishes
from engine.model import Target

MIB = 1 << 20
CLAUDE = Target("claude", "opus", "work")


def wishes(**targets: WishSettings) -> Wishes:
    named = {name.replace("__", ":").replace("_at_", "@"): one for name, one in targets.items()}
    return Wishes.of(Settings(cluster=ClusterSettings(address="h:1", targets=named)), {"claude": 300 * MIB})


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        (("claude",), "claude"),
        (("claude", "claude__opus"), "claude__opus"),
        (("claude", "claude__opus", "claude_at_work"), "claude_at_work"),
        (("claude", "claude__opus", "claude_at_work", "claude__opus_at_work"), "claude__opus_at_work"),
    ],
)
def test_the_most_exact_word_counts(said: tuple[str, ...], counts: str) -> None:
    found = wishes(**{name: WishSettings(labels={"is": name}) for name in said}).wish(CLAUDE)
    assert found is not None
    assert found.labels == {"is": counts}


def test_memory_is_what_an_agent_usually_takes_where_nothing_is_said() -> None:
    usual = wishes(claude=WishSettings(resources={"claude": 1.0})).wish(CLAUDE)
    assert usual == Wish({"claude": 1.0, "memory": 300.0 * MIB})
    said = wishes(claude=WishSettings(memory="1G")).wish(CLAUDE)
    assert said == Wish({"memory": 1024.0 * MIB})
    assert wishes(claude=WishSettings()).wish(Target("shell", None, None)) is None, "it stays here"


def nodes(**rooms: Room) -> Nodes:
    said = WishSettings(resources={"claude": 1.0}, memory="100M", labels={"region": "eu"})
    return Nodes(wishes(claude=said), dict(rooms))


def room(claude: float = 2.0, region: str = "eu", closed: str = "", memory: float = 1000.0 * MIB) -> Room:
    return Room({"claude": claude, "memory": memory}, {"region": region}, closed=closed)


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (nodes(), "no node of the cluster is here"),
        (nodes(a=room(region="us")), "no node of the cluster offers claude 1, 100 MiB of memory, region=eu"),
        (nodes(a=room(claude=0.5)), "no node of the cluster offers claude 1, 100 MiB of memory, region=eu"),
        (nodes(a=room(closed="is drained")), "no node takes attempts (a is drained)"),
        (nodes(a=room(closed="is drained"), b=room()), None),
        (nodes(a=room()), None),
    ],
)
def test_why_nothing_starts(there: Nodes, why: str | None) -> None:
    assert there.obstacle(CLAUDE) == why


def test_what_starts_takes_room_until_it_ends() -> None:
    there = nodes(a=room(), b=room(memory=100.0 * MIB))
    copied = there.copy()
    for _ in range(3):
        assert there.obstacle(CLAUDE) is None
        there.start(CLAUDE)
    assert there.obstacle(CLAUDE) == "no node has room for one more"
    there.end(CLAUDE)
    assert there.obstacle(CLAUDE) is None
    assert copied.rooms["a"].taken == {}


@given(st.lists(st.floats(0.01, 1.0), max_size=30), st.floats(0.5, 4.0))
def test_no_node_is_given_more_than_it_offers(counts: list[float], offered: float) -> None:
    one = Room({"gpu": offered})
    for count in counts:
        wish = Wish({"gpu": count})
        one = one.with_one(wish) if one.has(wish) else one
    assert one.taken.get("gpu", 0.0) <= offered + 1e-6


def test_a_drained_node_is_closed_by_its_hold() -> None:
    there = nodes(a=room(), b=room())
    there.close({"node:a": "you", "agent:shell": "you"})
    assert (there.reaches("a"), there.reaches("b"), there.reaches("c")) == (False, True, False)
