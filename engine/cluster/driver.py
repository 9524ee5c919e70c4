"""The engine's child that speaks Ray: started by `link`, it lives as long as the engine and the head do.

It keeps one detached actor on each node, gives words to them, and has Ray reserve room. It knows of no job. Ray is
loaded where it is used: an engine without a cluster reads this file as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from engine.cluster.words import Answer, Down, Free, Nodes, Reserve, Seen, Settled, Word, receive, send

if TYPE_CHECKING:
    from ray.util.placement_group import PlacementGroup

T = TypeVar("T")

LOOK_SECONDS = 0.5  #: between looks at the nodes
PLACING = 32  #: rooms that are waited for at once; no word to a node waits for one of them
NODE_ID = "ray.io/node-id"  #: the label that Ray gives each node by itself
HEAD_RESOURCE = "node:__internal_head__"
PREFIX = "headway-"
#: So that Ray does not take the agents with it when an actor ends: they are adopted by the next one.
SPARED = {"RAY_kill_child_processes_on_worker_exit": "false"}
START_SECONDS = 120.0


class Driver:
    """One connection to the cluster."""

    def __init__(self, settled: Settled, writer: asyncio.StreamWriter) -> None:
        self._settled = settled
        self._writer = writer
        self._sending = asyncio.Lock()
        self._nodes: dict[str, Seen] = {}
        self._actors: dict[str, Any] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._placing = ThreadPoolExecutor(PLACING, "placing")

    async def say(self, message: Answer | Nodes) -> None:
        async with self._sending:
            await send(self._writer, message)

    async def watch(self) -> None:
        """Tell of the nodes whenever they are others."""
        told: list[Seen] | None = None
        while True:
            found = _nodes(await asyncio.to_thread(_told), {one.name: one.id for one in self._nodes.values()})
            self._nodes = {one.name: one for one in found}
            for gone in self._actors.keys() - {one.id for one in found}:
                del self._actors[gone]
            if found != told:
                told = found
                await self.say(Nodes(found))
            await asyncio.sleep(LOOK_SECONDS)

    def take(self, message: Down) -> None:
        task = asyncio.create_task(self._do(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, message: Down) -> None:
        if isinstance(message, Settled):
            return
        try:
            answer = await self._answer(message)
        except Exception as error:  # noqa: BLE001 - whatever Ray raises: who asked waits for an answer
            answer = Answer(message.number, unreachable=f"the cluster failed: {_said(error)}")
        await self.say(answer)

    async def _answer(self, message: Word | Reserve | Free) -> Answer:
        if isinstance(message, Word):
            return await self._word(message)
        if isinstance(message, Reserve):
            return await self._apart(functools.partial(self._reserve, message))
        return await self._apart(functools.partial(_free, message))

    async def _apart(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._placing, call)

    async def _word(self, word: Word) -> Answer:
        from ray.exceptions import ActorDiedError, RayError

        seen = self._nodes.get(word.node)
        if seen is None:
            return Answer(word.number, unreachable=f"the node {word.node} is not here")
        try:
            actor = self._actors[seen.id] if seen.id in self._actors else await asyncio.to_thread(self._actor, seen)
            return Answer(word.number, data=await actor.answer.remote(word.verb, word.data))
        except (RayError, ValueError) as error:
            if isinstance(error, ActorDiedError):  # for good, and for that a new one can be made
                self._actors.pop(seen.id, None)
            return Answer(word.number, unreachable=f"the node {word.node} does not answer: {_said(error)}")

    def _actor(self, seen: Seen) -> Any:
        """The node's actor, made where there is none. One for a node and a home, whoever comes first."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from engine.cluster.actor import SiteActor

        actor = self._actors.get(seen.id)
        if actor is None:
            actor = self._actors[seen.id] = SiteActor.options(  # type: ignore[attr-defined]
                name=f"site-{seen.id}",
                namespace=self._settled.namespace,
                lifetime="detached",
                get_if_exists=True,
                num_cpus=0,
                max_restarts=-1,
                max_concurrency=1_000,
                scheduling_strategy=NodeAffinitySchedulingStrategy(seen.id, soft=False),
                runtime_env={"env_vars": SPARED},
            ).remote(self._settled.home, self._settled.namespace, seen.name)
        return actor

    def _reserve(self, wish: Reserve) -> Answer:
        from ray.util.placement_group import placement_group, placement_group_table, remove_placement_group

        ids = [one.id for name, one in self._nodes.items() if name in wish.among]
        if not ids:
            return Answer(wish.number, full="none of the nodes is here any more")
        selector = {**wish.labels, NODE_ID: f"in({','.join(ids)})"}
        name = f"{PREFIX}{wish.key}"
        group = placement_group(
            # Ray reserves nothing for a bundle that asks for nothing.
            [wish.resources or {"memory": 1}],
            name=name,
            lifetime="detached",
            bundle_label_selector=[selector],
        )
        if not group.wait(wish.within):
            remove_placement_group(group)
            return Answer(wish.number, full=f"no node had room within {wish.within:.0f} s")
        chosen = placement_group_table(group)["bundles_to_node_id"][0]
        found = next((one.name for one in self._nodes.values() if one.id == chosen), None)
        if found is None:
            remove_placement_group(group)
            return Answer(wish.number, full="the node that was chosen has gone")
        return Answer(wish.number, data=found.encode())


def _free(free: Free) -> Answer:
    from ray.util.placement_group import get_placement_group, placement_group_table

    named = {f"{PREFIX}{key}" for key in free.keys}
    if free.others:
        for one in placement_group_table().values():
            name = str(one["name"])
            if name.startswith(PREFIX) and name not in named and one["state"] != "REMOVED":
                with contextlib.suppress(ValueError):  # that of another home, in a namespace of its own
                    _remove(get_placement_group(name))
        return Answer(free.number)
    for name in named:
        with contextlib.suppress(ValueError):
            _remove(get_placement_group(name))
    return Answer(free.number)


def _remove(group: PlacementGroup) -> None:
    from ray.exceptions import RayError
    from ray.util.placement_group import remove_placement_group

    with contextlib.suppress(RayError):
        remove_placement_group(group)


def _nodes(told: list[dict[str, Any]], known: Mapping[str, str]) -> list[Seen]:
    """The nodes that are alive, without a head that offers nothing of its own.

    Of two of one name that which is `known`, by name, or the first: attempts are given to a name, and must not be
    looked for on another machine.
    """
    found: dict[str, Seen] = {}
    for one in sorted(told, key=lambda node: (str(node["NodeID"]) not in known.values(), str(node["NodeID"]))):
        offers = {name: float(count) for name, count in one["Resources"].items() if ":" not in name}
        head = HEAD_RESOURCE in one["Resources"]
        if not one["Alive"] or (head and not offers.keys() - {"memory", "object_store_memory"}):
            continue
        name = str(one["NodeName"])
        labels = {label: value for label, value in one["Labels"].items() if not label.startswith("ray.io/")}
        address = str(one["NodeManagerAddress"])
        if (first := found.get(name)) is not None:
            twin = f"another machine, {address}, has joined by the same name: give it a --node-name of its own"
            found[name] = msgspec.structs.replace(first, trouble=twin)
        else:
            found[name] = Seen(name, str(one["NodeID"]), address, offers, labels)
    return list(found.values())


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


def _told() -> list[dict[str, Any]]:
    import ray

    told: list[dict[str, Any]] = ray.nodes()
    return told


def _connect(settled: Settled) -> None:
    """Raises `RayError`, `ConnectionError` and others where there is no head."""
    import ray

    if settled.start and not _listens(settled.address):
        done = subprocess.run(settled.start, stdin=subprocess.DEVNULL, timeout=START_SECONDS, check=False)
        if done.returncode != 0:
            raise ConnectionError(f"`{' '.join(settled.start[:3])}` failed: exit {done.returncode}")
    ray.init(
        address=settled.address,
        namespace=settled.namespace,
        log_to_driver=False,
        configure_logging=False,
        include_dashboard=None,
    )


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=2.0):
            return True
    except OSError:
        return False


async def _run() -> None:
    reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=os.dup(0)))
    settled = msgspec.msgpack.decode(await receive(reader), type=Settled)
    await asyncio.to_thread(_connect, settled)
    driver = Driver(settled, writer)
    watching = asyncio.create_task(driver.watch())
    listening = asyncio.create_task(_listen(driver, reader))
    await asyncio.wait({watching, listening}, return_when=asyncio.FIRST_COMPLETED)
    for task in (watching, listening):
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            raise error


async def _listen(driver: Driver, reader: asyncio.StreamReader) -> None:
    """Until the engine is gone."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            driver.take(msgspec.msgpack.decode(await receive(reader), type=Down))


def main() -> None:
    code = 0
    os.chdir("/")  # Ray has the nodes look for modules in this directory, and a project may have an `engine` of its own
    try:
        asyncio.run(_run())
    except Exception as error:  # noqa: BLE001 - the edge: the engine shows this line
        sys.stderr.write(f"headway: the cluster cannot be reached: {_said(error)}\n")
        code = 1
    sys.stderr.flush()
    os._exit(code)  # Ray's own threads would wait for a head that may be gone


if __name__ == "__main__":
    main()
