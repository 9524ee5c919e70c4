"""The machines of the cluster on the screen Workers."""

from __future__ import annotations

from msgspec.structs import replace

from engine.model import State
from engine.model.node import Node, Nodes, NodeState
from tests.console.fake import NOW, FakeEngine, make_job
from tests.console.test_panes import workers

READY = Node(
    name="rack-1", state=NodeState.READY, running=[1], offers={"claude": 8.0}, taken={"claude": 3.0},
    memory=64 << 30, memory_free=48 << 30, last_seen=NOW - 4_000,
)  # fmt: skip
AWAY = Node(name="rack-2", state=NodeState.AWAY, trouble="the node rack-2 does not answer", last_seen=NOW - 90_000)


async def test_each_machine_has_a_line_and_each_job_says_where_it_runs() -> None:
    engine = FakeEngine([make_job(1, state=State.RUNNING, title="far away"), make_job(2, state=State.RUNNING)])
    engine.books.nodes = Nodes(configured=True, connected=True, nodes=[READY, AWAY])
    async with workers(engine, 130, 30) as stage:
        await stage.press("w")
        await stage.until(lambda: "rack-1" in stage.text and "JOB" in stage.text, "the machines")
        lines = stage.lines
    (first,) = [line for line in lines if line.startswith(" rack-1")]
    (second,) = [line for line in lines if line.startswith(" rack-2")]
    told = "rack-1 ready 1 at work 4s ago 48.0 GiB free claude 3/8"
    assert " ".join(first.split()) == told
    assert second.split()[:2] == ["rack-2", "away"]
    assert "does not answer" in second
    assert any("J1" in line and "rack-1" in line for line in lines)
    assert not any("J2" in line and "rack-" in line for line in lines)


async def test_80_columns_say_what_is_wrong_with_a_machine_and_when_it_was_heard() -> None:
    offers = {"claude": 8.0, "slot": 16.0, "windows": 4.0}
    ready = replace(READY, offers=offers, taken={}, trouble="another machine, 10.0.0.7, has joined by the same name")
    engine = FakeEngine([make_job(1, state=State.RUNNING)])
    engine.books.nodes = Nodes(configured=True, connected=True, nodes=[replace(ready, trouble=""), ready])
    async with workers(engine, 80, 24) as stage:
        await stage.until(lambda: "rack-1" in stage.text, "the machines")
        first, second = (" ".join(line.split()) for line in stage.lines if line.startswith(" rack-1"))
    assert first.startswith("rack-1 ready 1 at work 4s ago 48.0 GiB free claude 0/8")
    assert "another machine, 10.0.0.7, has" in second


async def test_without_a_cluster_there_is_no_line_and_no_further_question() -> None:
    engine = FakeEngine([make_job(1, state=State.RUNNING)])
    async with workers(engine) as stage:
        assert not stage.workers.nodes.display
        assert stage.workers._clustered is False
