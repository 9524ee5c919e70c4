"""Looks at the machine, the home and its engine, and says what is wrong and how to mend it. Changes nothing."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psutil
from msgspec import Struct

from engine import __version__, accounts, modes
from engine.agents.base import Agent
from engine.agents.registry import agents, read_settings
from engine.clock import now_ms
from engine.config import Settings, find_settings
from engine.config.cluster import ClusterSettings
from engine.drift import drift
from engine.errors import HeadwayError, NoEngineError
from engine.home import holder, is_home
from engine.memory import checkup
from engine.model import Target
from engine.model.account import BUILT_IN
from engine.model.node import NodeState
from engine.runner import cells, enforcing, spawn
from engine.runner.cgroup import Cgroups
from engine.server.client import Client
from engine.server.network import FOLDER, checked
from engine.server.validity import SOON_DAYS, left
from engine.skills.finding import find_skills, shelves
from engine.store import windows
from engine.store.fold import rebuild
from engine.store.rows import SELECT_JOB, job_row
from engine.store.schema import damage, migrations, newest_backup
from engine.store.store import FILE
from engine.upkeep.reading import reading

LOW_DISK = 1 << 30  #: bytes free under which runs are likely to fill the disk
LOW_MEMORY = 1 << 30  #: bytes available under which one more agent may be killed by the kernel
UNPRICED_MS = 7 * 86_400_000  #: models without a price are a finding for so long after they were used
SENT = "headway.yaml sends its attempts to nodes: install it there too"
JOIN = "`headway cluster join-command` prints how a machine joins"
ASK_SECONDS = 30.0  #: for a program's --version: some agents take seconds to start


class Check(Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    ok: bool
    found: str
    mend: str = ""
    needed: bool = True
    """Without it something is wrong; else it is only worth knowing."""


async def examine(home: Path, *, deep: bool = False) -> list[Check]:
    """All checks, in the order in which they matter. `deep` also reads the whole database."""
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    checks = [_platform(), _home(home), *_modes(home)]
    settings = Settings()
    try:
        path = find_settings(home, config_home)
        settings = read_settings(path)
        checks.append(Check("settings", True, str(path or "none: defaults")))
        checks.extend(_projects(settings))
        checks.extend(await _accounts(settings, path))
    except HeadwayError as error:
        checks.append(Check("settings", False, error.message, "mend this; the engine does not start with it"))
    checks.append(await _engine(home))
    checks.extend(_certificate(home, settings))
    if settings.cluster is not None:
        checks.extend(await _nodes(home, settings.cluster))
    checks.extend(_database(home, deep=deep))
    remembered = checkup.examine(home, settings.memory, deep=deep)
    checks.extend(Check("memory", one.ok, one.found, one.mend, needed=one.needed) for one in remembered)
    checks.extend((_disk(home), _memory(), *await _processes(home)))
    checks.append(
        await _program("git", ["git", "--version"], "install git: projects in git get a worktree for each job")
    )
    checks.extend(await programs(agents(), settings))
    checks.extend(await _sandbox(settings))
    checks.append(_skills(config_home, settings))
    return checks


async def _sandbox(settings: Settings) -> list[Check]:
    """Whether there can be one, where somebody is to run in one."""
    of_agents = [one.sandbox for one in settings.agents.values()]
    of_projects = [one.sandbox for one in settings.projects.values()]
    if not any([settings.sandbox, *of_agents, *of_projects]):
        return []
    trouble = await cells.probe()
    mend = "until then nothing starts that is to run in one" if trouble else ""
    return [Check("sandbox", trouble is None, trouble or "bubblewrap makes one", mend)]


async def programs(known: Mapping[str, Agent], settings: Settings) -> list[Check]:
    """For each agent that is a program of its own, whether it is there, and its version."""

    async def ask(name: str, package: str) -> Check:
        command = settings.agent(name).command or [name]
        hint = f"npm install -g {package}, or name its path in headway.yaml: agents.{name}.command"
        return msgspec.structs.replace(await _program(name, [*command, "--version"], hint), needed=False)

    own = [(agent.name, agent.package) for agent in known.values() if agent.package is not None]
    return await asyncio.gather(*(ask(name, package) for name, package in own))


def _skills(config_home: Path, settings: Settings) -> Check:
    """Those for every project: a broken one is given to nobody."""
    found = {skill.path: skill for skill in find_skills(shelves(config_home))}
    for project in settings.projects.values():
        if project.skills.trusted:
            here = find_skills(shelves(config_home, Path(project.directory), trusted=True))
            found |= {skill.path: skill for skill in here}
    broken = [f"{skill.path}: {skill.problem}" for skill in found.values() if skill.problem]
    return Check("skills", not broken, f"{len(found)} found", "; ".join(broken))


def _platform() -> Check:
    found = f"Headway {__version__}, Python {platform.python_version()}, {platform.system()} {platform.release()}"
    return Check("platform", sys.platform == "linux", found, "Headway runs on Linux: it needs /proc and pidfds")


def _home(home: Path) -> Check:
    if not home.exists():
        return Check("home", True, f"{home} is not there yet; the first start makes it")
    if not is_home(home):
        return Check(
            "home", False, f"{home} is no Headway home and not empty", "name another with --home or HEADWAY_HOME"
        )
    return Check("home", os.access(home, os.W_OK), str(home), f"{home} cannot be written")


def _modes(home: Path) -> Iterator[Check]:
    """Who may read and write the home. What only has to be closed, the next start closes."""
    for fault in modes.faults(home, os.geteuid()):
        ours = fault.mode is not None
        later = "; the next start of an engine does it" if ours else ""
        yield Check("modes", False, fault.found, fault.mend + later, needed=not ours or fault.path == home)


def _projects(settings: Settings) -> Iterator[Check]:
    for name, project in settings.projects.items():
        try:
            there = Path(project.path).expanduser().is_dir()
        except (OSError, RuntimeError):
            there = False
        if not there:
            yield Check(f"project {name}", False, f"{project.path} is not a directory", "mend projects in headway.yaml")


async def _accounts(settings: Settings, path: Path | None) -> list[Check]:
    """The accounts that the settings name, and keys that stand where they should not."""
    found = [Check("keys", False, one.found, one.mend, needed=False) for one in accounts.warnings(settings, path)]
    uses_llm = "llm" in (*settings.agents, settings.default_agent)
    used = {one.agent for one in settings.accounts.values()} | ({"llm"} if uses_llm else set())
    for name in sorted(used):
        (agent,) = await accounts.survey(settings, agents(), os.environ, name=name, check=False)
        for one in agent.accounts:
            if one.name in settings.accounts and not one.ok:
                told = f"{agent.agent}: {one.found}"
                found.append(Check(f"account {one.name}", False, told, one.mend, needed=False))
        if name == "llm" and agent.version is None:
            found.append(Check("llm", False, agent.problem, "install it where the engine runs", needed=False))
    return found


async def _engine(home: Path) -> Check:
    try:
        async with Client(home) as client:
            status = await client.status()
    except NoEngineError:
        who = holder(home)
        if who is not None and psutil.pid_exists(who.pid):
            mend = f"its process {who.pid} is there and does not answer: read {home / 'engine.log'}"
            return Check("engine", False, "does not answer", mend)
        return Check("engine", True, "none serves this home; `headway` or `headway serve` starts one")
    except HeadwayError as error:
        return Check("engine", False, error.message, f"read {home / 'engine.log'}")
    same = status.version == __version__
    mend = "stop it with `headway shutdown` and start it again; running agents are adopted"
    return Check("engine", same, f"pid {status.pid}, Headway {status.version}", mend)


def _certificate(home: Path, settings: Settings) -> Iterator[Check]:
    """The one that is shown to those who come over the network, where there is one, or has to be."""
    if settings.server.listen is None and settings.server.certificate is None and not (home / FOLDER).is_dir():
        return
    try:
        certificate, _ = checked(settings.server, home)
        days, told = left(certificate, datetime.now(UTC))
    except HeadwayError as error:
        yield Check("certificate", False, error.message, "`headway server certificate` makes one")
        return
    mend = "put a new one in its place, or `headway server certificate` makes one; then `headway reload`"
    yield Check("certificate", days >= SOON_DAYS, told, mend, needed=days < 0)


async def _nodes(home: Path, settings: ClusterSettings) -> list[Check]:
    """Each machine of the cluster: its version of Headway, and its agents with their logins.

    One that is not there is wrong where attempts of it are sent to nodes.
    """
    sent = {Target.parse(one).agent for one in settings.targets}
    try:
        async with Client(home) as client:
            cluster = await client.nodes(agents=True, check=True)
    except HeadwayError:
        return []  # what is wrong with the engine is said already
    if not cluster.connected:
        return [Check("cluster", False, cluster.trouble, f"read {home / 'cluster/driver.log'}")]
    count = f"{cluster.address}, {len(cluster.nodes)} nodes"
    found = [Check("cluster", bool(cluster.nodes), count, JOIN, needed=False)]
    for node in cluster.nodes:
        well = node.state in (NodeState.READY, NodeState.DRAINED) and not node.trouble
        said = node.trouble or f"{node.state}, Headway {node.version}"
        found.append(Check(f"node {node.name}", well, said, "see docs/cluster.md, When something fails"))
        for one in node.agents:
            if one.version is None and one.agent in sent:
                found.append(Check(f"{node.name}: {one.agent}", False, one.problem or "not there", SENT, needed=False))
            elif one.version is not None:
                logins = "; ".join(f"{login.name}: {login.found}" for login in one.accounts)
                wrong = next((login.mend for login in one.accounts if login.ok is False), "")
                told = f"{one.version or BUILT_IN}{f', {logins}' if logins else ''}"
                found.append(Check(f"{node.name}: {one.agent}", not wrong, told, wrong, needed=False))
    return found


def _database(home: Path, *, deep: bool) -> Iterator[Check]:
    path = home / FILE
    if not path.exists():
        return
    try:
        with reading(path, current=False) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            size = f"{path.stat().st_size / 1e6:.1f} MB"
            known = len(migrations())
            found = damage(connection, version, None)
            yield Check("database", not found, found or f"schema {version} of {known}, {size}", _restore(home))
            if version == known and not found:
                yield from _drift(connection)
                yield from _money(connection)
            if deep and version == known:
                yield _whole(connection, home)
            elif deep:
                yield Check("log", True, "not looked at: the next start of an engine brings the database up to date")
    except HeadwayError as error:
        yield Check("database", False, error.message)


def _drift(connection: sqlite3.Connection) -> Iterator[Check]:
    for one in drift(connection):
        mend = f"`headway logs {one.job}` marks them with ?: a newer Headway may know them, or pin the agent's version"
        yield Check("drift", False, str(one), mend, needed=False)


def _money(connection: sqlite3.Connection) -> Iterator[Check]:
    """Books that differ from the ledger, and models that nobody knows the price of."""
    for day, book, share in connection.execute("SELECT day, book, share FROM drifts ORDER BY day DESC LIMIT 5"):
        mend = "`headway spend --reconcile` compares again; docs/money.md says what may differ"
        yield Check("money", False, f"{book} of {day} differs from the ledger by {share:.1%}", mend, needed=False)
    recent = now_ms() - UNPRICED_MS
    found = connection.execute(
        "SELECT DISTINCT model FROM ledger WHERE at >= ? AND cost_micros IS NULL ORDER BY 1", (recent,)
    ).fetchall()
    if found:
        models = ", ".join(str(model) for (model,) in found[:5])
        mend = "say it in headway.yaml: prices: {MODEL: {input: 1, output: 5}}, dollars for a million tokens"
        yield Check("prices", False, f"nobody knows what these cost: {models}", mend, needed=False)


def _restore(home: Path) -> str:
    backup = newest_backup(home)
    return f"put the newest backup in its place: headway restore {backup}" if backup else "restore a backup"


def _whole(connection: sqlite3.Connection, home: Path) -> Check:
    """SQLite's own check, and the table of jobs against what the log tells."""
    connection.execute("BEGIN")  # both reads see the same moment
    if found := damage(connection, connection.execute("PRAGMA user_version").fetchone()[0]):
        return Check("log", False, f"damaged: {found}", _restore(home))
    told = rebuild(connection)
    kept = {row.id: row for row in map(job_row, connection.execute(SELECT_JOB))}
    wrong = sorted(job for job in told.keys() | kept.keys() if told.get(job) != kept.get(job))
    found = f"{len(kept)} jobs are as the log tells them" if not wrong else f"{len(wrong)} jobs differ: {wrong[:5]}"
    if astray := windows.astray(connection):
        found += f"; {len(astray)} windows differ: {astray[:5]}"
    return Check("log", not wrong and not astray, found, "this is a defect of Headway: keep the home and report it")


def _disk(home: Path) -> Check:
    there = next(parent for parent in (home, *home.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    return Check(
        "disk", free > LOW_DISK, f"{free / 1e9:.1f} GB free", "free some space: agents write their output there"
    )


def _memory() -> Check:
    memory = psutil.virtual_memory()
    found = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB available"
    return Check("memory", memory.available > LOW_MEMORY, found, "lower max_running in headway.yaml")


async def _processes(home: Path) -> list[Check]:
    cgroups = Cgroups.detect(home)
    await cgroups.look()
    cgroups.remove(cgroups.parent)  # goes only where it is empty
    way = "a cgroup for each attempt" if cgroups.parent is not None else "environment marker and subreaper"
    held = f"an attempt is held to its limits by {enforcing.way(cgroups)}"
    return [Check("processes", True, f"found by {way}"), Check("resources", True, held)]


async def _program(name: str, command: list[str], mend: str) -> Check:
    try:
        done = await spawn.run(command, dict(os.environ), within=ASK_SECONDS)
    except FileNotFoundError:
        return Check(name, False, f"{command[0]} is not installed", mend)
    except (OSError, TimeoutError) as error:
        return Check(name, False, f"{command[0]} does not start: {error or 'no answer'}", mend)
    said = done.stdout.decode(errors="replace").strip().splitlines()
    return Check(name, done.code == 0, said[0] if said else f"exit {done.code}", mend)
