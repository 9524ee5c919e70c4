"""Starting an engine: wires the rooms, runs what works in the background, and ends it all in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from engine import __version__
from engine import events as log
from engine.agents.registry import agents as all_agents
from engine.clock import now_ms
from engine.clock_watch import ClockWatch
from engine.cluster.cluster import Cluster
from engine.cluster.connecting import connect
from engine.cluster.elsewhere import Elsewhere
from engine.cluster.fleet import Fleet
from engine.cluster.words import Link
from engine.config import Settings
from engine.config.cluster import ClusterSettings
from engine.context.known import Known
from engine.context.learning import Learner
from engine.dispatch.budget import Budget
from engine.dispatch.dispatcher import Dispatcher
from engine.dispatch.nodes import Nodes, Wishes
from engine.dispatch.routebook import Routebook
from engine.dispatch.settling import Rules
from engine.engine import Engine
from engine.errors import StorageError
from engine.extraction import Extraction
from engine.gate.book import Gatebook
from engine.home import Holder, Lock, make_home
from engine.hub import Hub
from engine.mcp.capability import Grants
from engine.mcp.offering import Offers
from engine.memory.memory import Memory
from engine.notify.notifier import Notifier
from engine.redact import Secrets
from engine.runner.cells import Cells
from engine.runner.cgroup import Cgroups
from engine.runner.credentials import references, resolve
from engine.runner.follow import Follower
from engine.runner.launch import Launcher
from engine.runner.live import Surroundings
from engine.runner.runner import Runner
from engine.runner.workspace import Workspaces
from engine.spend.budgets import Budgets
from engine.spend.prices import Prices
from engine.store import Store, budgets, claims, placing
from engine.takeover import Takeovers
from engine.tap.tap import Tap
from engine.upkeep.round import keep_up

logger = logging.getLogger(__name__)
Connect = Callable[[Path, ClusterSettings], Link]


@asynccontextmanager
async def serving(
    home: Path, settings: Settings, *, subreaper: bool = False, connect: Connect = connect
) -> AsyncIterator[Engine]:
    """An engine that holds this home and works. On leaving, it stops; the agents run on for the next one.

    `subreaper`: orphans of the agents come to this process; `connect`: makes the line to a cluster. Raises
    `RefusedError` where another engine holds the home or Ray is missing, or `StorageError`.
    """
    for mended in make_home(home):
        logger.warning("%s: it is closed now", mended)
    home = home.resolve()
    lock = Lock.take(home, Holder(os.getpid(), __version__, now_ms()))
    try:
        hub = Hub()
        secrets = Secrets()
        secrets.learn_from(os.environ)
        store = await Store.open(home, hub.publish, clean=secrets.kept)
        try:
            async with _working(home, settings, store, hub, secrets, subreaper, connect) as engine:
                yield engine
        finally:
            await store.close()
    finally:
        lock.release()


@asynccontextmanager
async def _working(
    home: Path, settings: Settings, store: Store, hub: Hub, secrets: Secrets, subreaper: bool, connect: Connect
) -> AsyncIterator[Engine]:
    boot = str(uuid.uuid4())
    known = all_agents()
    cgroups = Cgroups.detect(home)
    follower = Follower()
    tap = Tap(home)
    memory = Memory(home, settings, secrets, partial(resolve, own=os.environ))
    remembers = Known(memory, settings)
    secrets.learn(await references(settings, os.environ))
    cells = Cells(home, settings)
    grants = Grants(settings.mcp.calls)
    book = Routebook.of(settings, known, os.environ)
    gates = Gatebook.of(settings, known, book.privacy)
    launcher = Launcher(
        settings, known, Workspaces(home), cgroups,
        secrets=secrets, tap=tap, offers=Offers(home, settings, grants, gates), known=remembers, cells=cells,
    )  # fmt: skip
    rules = Rules(
        settings.max_attempts,
        Budget.of(settings),
        book,
        Budgets.of(settings),
        gates,
    )
    around = Surroundings(
        home, store, hub, follower, launcher, boot, settings.grace, rules, Prices.of_settings(settings), subreaper
    )
    fleet = None
    if settings.cluster is not None:
        usual = {name: agent.footprint for name, agent in known.items()}
        epoch, link = await store.write(placing.next_epoch), connect(home, settings.cluster)
        fleet = Fleet(link, settings, Wishes.of(settings, usual), epoch, lambda: dispatcher.wake())
    elsewhere = Elsewhere(home, store, fleet, launcher, follower.look) if fleet is not None else None
    hub.seq = await store.read.newest_seq()
    # Before the tasks begin, so that what the store refuses comes out as it is and not in a group.
    await store.write(lambda tx: tx.log(log.EngineStarted(pid=os.getpid(), version=__version__)))
    await store.write(lambda tx: budgets.prepare(tx, rules.budgets))
    left = await store.look(claims.live_attempts)
    failure: BaseException | None = None
    async with asyncio.TaskGroup() as tasks:
        runner = Runner(around, tasks, lambda: dispatcher.wake(), elsewhere)
        nodes = fleet.rooms if fleet is not None else Nodes
        dispatcher = Dispatcher(store, settings, known, boot, runner.start, runner.meter.memory, book, nodes)
        takeovers = Takeovers(store, hub, runner, launcher, tasks, dispatcher.wake)
        engine = Engine(
            home, settings, store, hub, follower, runner, dispatcher, known, launcher.workspaces, secrets, takeovers,
            book, tap, memory, grants, launcher,
            Notifier(home, store, hub, settings, secrets, partial(resolve, own=os.environ)),
            Cluster(home, settings, store, fleet),
        )  # fmt: skip
        await engine.staff.open()
        await engine.tokens.open()
        following = tasks.create_task(follower.run(), name="follower")
        await runner.take_over(left)
        tap.ready()
        await takeovers.watch_all()
        at_work = {
            "dispatcher": dispatcher.run(),
            "inbox": engine.inbox.run(),
            "notify": engine.notify.run(),
            "races": engine.races.run(),
            "merges": engine.merges.run(),
            "pipelines": engine.pipelines.run(),
            "gates": engine.gates.run(),
            "opinions": engine.opinions.run(),
            "audit": engine.audit.run(),
            "schedules": engine.schedules.run(),
            "upkeep": keep_up(home, settings.upkeep, launcher.workspaces.locks),
            "extraction": Extraction(home, store, hub, book, secrets, memory, dispatcher.wake).run(),
            "clock": ClockWatch(store, dispatcher.wake).run(),
            "learner": Learner(home, settings, store, hub, memory, known).run(),
        }
        if settings.telemetry.endpoint is not None:
            from engine.telemetry.telemetry import Telemetry  # nothing that a start should wait for where it is off

            telemetry = Telemetry(str(home), store, hub, settings, secrets, partial(resolve, own=os.environ))
            at_work["telemetry"] = telemetry.run()
        if fleet is not None:
            at_work["cluster"] = fleet.run()
        working = [tasks.create_task(run, name=name) for name, run in at_work.items()]
        try:
            yield engine
        except BaseException as error:  # noqa: BLE001 - raised again as it is, outside the group that would wrap it
            failure = error
        engine.let_go()
        # Before its doors are shut: an agent tries a lost line again, and no closed door.
        await asyncio.to_thread(tap.stop)
        for task in working:
            task.cancel()
        takeovers.let_go()
        runner.let_go()
        following.cancel()
    cgroups.close()
    with contextlib.suppress(StorageError):
        await store.write(lambda tx: tx.log(log.EngineStopped(reason="asked to stop")))
    if failure is not None:
        raise failure
