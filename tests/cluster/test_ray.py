"""Ray itself, three nodes on this machine, and an engine in a process of its own: `make test-cluster`."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine import events as log
from engine.cluster.connecting import NAME
from engine.events import Event
from engine.model import JobSpec, State
from engine.server.client import Client
from tests.conftest import Served, run_git, settings_file
from tests.runner.living import rehearsal

ASKED = "HEADWAY_TEST_CLUSTER"  #: in the environment: `make test-cluster` sets it
JOBS = int(os.environ.get("HEADWAY_CLUSTER_JOBS", "300"))
PATIENCE = 900.0
TRIES = 4
SPACE = "headway-test"
KEY = "sk-made-up-and-only-on-the-node"

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not os.environ.get(ASKED), reason="NOT RUN: Ray itself takes minutes; make test-cluster"),
]


def patient(start: Callable[[], Any]) -> Any:
    """Ray gives a raylet thirty seconds to start, which a busy machine does not always keep to."""
    for _ in range(TRIES - 1):
        with contextlib.suppress(Exception):
            return start()
    return start()


@dataclass(slots=True)
class Rack:
    """Three nodes, with four slots each."""

    cluster: Any
    token: Path
    homes: Path
    env: dict[str, str]
    """What nodes are started with, and engines are not."""
    nodes: dict[str, Any]

    def add(self, name: str) -> None:
        offers: dict[str, Any] = {"num_cpus": 0, "resources": {"slots": 4.0}, "object_store_memory": 80 << 20}
        with self.as_node():
            self.nodes[name] = patient(lambda: self.cluster.add_node(node_name=name, **offers))

    @contextlib.contextmanager
    def as_node(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.env.items():
                patch.setenv(name, value)
            yield

    def kill(self, name: str) -> None:
        """Its raylet, as a machine that loses power, but for the agents: they are orphans now."""
        self.cluster.remove_node(self.nodes.pop(name), allow_graceful=False)

    def home(self, node: str) -> Path:
        return self.homes / SPACE / node


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    assert importlib.util.find_spec("ray") is not None, "make test-cluster installs the extra"
    token = tmp_path_factory.mktemp("token") / "token"
    token.write_text("f" * 64)
    token.chmod(0o600)
    env = {
        "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_USAGE_STATS_ENABLED": "0",
        "ANTHROPIC_API_KEY": KEY, "HEADWAY_REHEARSAL_SPEED": "20", "RAY_raylet_start_wait_time_s": "180",
    }  # fmt: skip
    one = Rack(None, token, tmp_path_factory.mktemp("nodes"), env, {})
    with one.as_node():
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False, "node_name": "head"}
        one.cluster = patient(lambda: Cluster(initialize_head=True, head_node_args=head))
    for name in ("a", "b", "c"):
        one.add(name)
    yield one
    one.cluster.shutdown()


def settings(served: Served, rack: Rack, more: str = "") -> None:
    settings_file(
        served.home,
        f"""\
max_running: 12
grace: 1
cluster:
  address: {rack.cluster.address}
  token_file: {rack.token}
  home: {rack.homes}
  lost_after: 5s
  targets:
    rehearsal: {{resources: {{slots: 1}}, memory: 10M}}
    shell: {{resources: {{slots: 1}}, memory: 10M}}
    claude: {{resources: {{slots: 1}}, memory: 100M}}
{more}""",
    )
    folder = served.home / "cluster"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / NAME).write_text(SPACE)


async def until_nodes(client: Client, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while sum(one.state == "ready" for one in (await client.nodes()).nodes) < count:
            await asyncio.sleep(0.2)


async def until_ended(served: Served, jobs: list[int]) -> None:
    left = set(jobs)
    async with asyncio.timeout(PATIENCE), Client(served.home) as client:
        async for event in client.follow(0):
            if isinstance(event, Event) and isinstance(event.body, log.Succeeded | log.Failed | log.Cancelled):
                left.discard(event.job or 0)
                if not left:
                    return


async def test_an_engine_killed_at_work_adopts_what_runs_on_nodes(
    served: Served, rack: Rack, repository: Path, tmp_path: Path
) -> None:
    settings(served, rack)
    served.start()
    gate, began = tmp_path / "go", tmp_path / "began"
    command = f"echo $$ >> {began}; while [ ! -e {gate} ]; do sleep 0.1; done; echo done > done.txt; echo end"
    async with Client(served.home) as client:
        await until_nodes(client, 3)
        jobs = await client.submit([JobSpec(prompt=command, agent="shell", project=str(repository))] * 6)
        async with asyncio.timeout(PATIENCE):
            while not began.exists() or len(began.read_text().split()) < 6:
                await asyncio.sleep(0.1)
    served.kill()
    gate.touch()
    served.start()
    await until_ended(served, jobs)
    async with Client(served.home) as client:
        for job in jobs:
            detail = await client.job(job)
            (tried,) = detail.attempts
            assert (detail.job.state, tried.node in rack.nodes) == (State.SUCCEEDED, True), detail.job.reason
            assert tried.diff is not None and tried.diff.files == 1
            assert (Path(tried.workspace or "") / "done.txt").read_text() == "done\n"
    assert len(began.read_text().split()) == 6, "each began once"
    shown = served.headway("nodes", "--agents")
    assert all(f"{name}  shell     built in" in shown.stdout for name in ("a", "b", "c")), shown.stdout + shown.stderr
    looked = served.headway("doctor").stdout
    assert "! b: claude" in looked and "sends its attempts to nodes" in looked, looked


async def test_a_real_claude_works_on_a_node_with_a_key_that_only_the_node_has(
    served: Served, rack: Rack, repository: Path, tmp_path: Path
) -> None:
    from tests.e2e.model_server import Step, model_server
    from tests.e2e.real_agents import installed

    program = installed("claude")
    there = rack.home("b") / "worktrees" / "1-add-a-line" / "b.txt"
    steps = [Step("I will write the file.", write=(str(there), "two\nlines\n")), Step("Done: wrote b.txt.")]
    async with model_server(steps) as server:
        agents = f"""\
agents:
  claude:
    command: [{program}]
    env:
      ANTHROPIC_BASE_URL: {server.url}
      CLAUDE_CONFIG_DIR: {tmp_path / "claude-config"}
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1"
"""
        settings(served, rack, agents)
        served.start()
        async with Client(served.home) as client:
            await until_nodes(client, 3)
            for name in ("a", "c"):
                drained = served.headway("node", "drain", name)
                assert drained.returncode == 0, drained.stderr
            spec = JobSpec(prompt="add a file", title="Add a line", agent="claude", project=str(repository))
            (job,) = await client.submit([spec])
            await until_ended(served, [job])
            detail = await client.job(job)
    (tried,) = detail.attempts
    assert (detail.job.state, tried.node) == (State.SUCCEEDED, "b"), detail.job.reason
    assert tried.result == "Done: wrote b.txt."
    assert tried.usage[0].cost_micros
    assert (Path(tried.workspace or "") / "b.txt").read_text() == "two\nlines\n"
    assert KEY not in (served.home / "headway.yaml").read_text()
    assert run_git(repository, "branch", "--list", "headway/1-add-a-line")


async def test_a_node_killed_under_load_and_each_job_ends_once(served: Served, rack: Rack, tmp_path: Path) -> None:
    settings(served, rack)
    served.start()
    steps: list[dict[str, object]] = [{"do": "say", "pause": 16_000, "text": text} for text in ("one", "two")]
    model = rehearsal(tmp_path, steps)
    async with Client(served.home) as client:
        await until_nodes(client, 3)
        jobs = await client.submit([JobSpec(prompt="p", agent="rehearsal", model=model, repeatable=True)] * JOBS)
        async with asyncio.timeout(PATIENCE):
            while (await client.status()).counts.succeeded < JOBS // 5:
                await asyncio.sleep(0.2)
        running: list[int] = []
        async with asyncio.timeout(PATIENCE):
            while len(running) < 2:
                running = next(one.running for one in (await client.nodes()).nodes if one.name == "c")
        rack.kill("c")
        await until_ended(served, jobs)
        details = [await client.job(job) for job in jobs]
    assert Counter(one.job.state for one in details) == {State.SUCCEEDED: JOBS}
    for one in details:
        assert [tried.succeeded for tried in one.attempts].count(True) == 1
    lost = [one.job.id for one in details if any("out of reach" in (tried.reason or "") for tried in one.attempts)]
    print(f"\n{len(lost)} of {JOBS} jobs were lost with their node, and ended elsewhere")
    assert lost
    assert set(lost) >= set(running) - {one.job.id for one in details if len(one.attempts) == 1}
    assert len({tried.node for one in details for tried in one.attempts}) == 3
    checked = served.headway("doctor", "--deep")
    assert f"{JOBS} jobs are as the log tells them" in checked.stdout, checked.stdout
    rack.add("c")  # it comes back, with what its orphans left, and takes attempts again
    async with Client(served.home) as client:
        await until_nodes(client, 3)


KILL = """
import sys, ray
ray.init(address=sys.argv[1], namespace=sys.argv[2], log_to_driver=False)
for one in ray.util.list_named_actors():
    ray.kill(ray.get_actor(one), no_restart=True)
"""


async def test_two_homes_share_a_cluster_and_an_actor_that_is_killed_for_good_is_made_anew(
    served: Served, rack: Rack, tmp_path: Path
) -> None:
    settings(served, rack)
    served.start()
    other = Served(tmp_path / "other")
    settings(other, rack)
    (other.home / "cluster" / NAME).write_text(f"{SPACE}-other")
    gate = tmp_path / "go"
    spec = JobSpec(prompt=f"while [ ! -e {gate} ]; do sleep 0.1; done; echo end", agent="shell")
    try:
        async with Client(served.home) as client:
            await until_nodes(client, 3)
            (job,) = await client.submit([spec])
            await served.until(lambda event: event.job == job and isinstance(event.body, log.Launched))
            other.start()  # a room of the first one's is none of its own
            async with Client(other.home) as another:
                await until_nodes(another, 3)
                rack.add("d")
                await until_nodes(another, 4)
                (its,) = await another.submit([JobSpec(prompt="true", agent="shell")])
                await until_ended(other, [its])
            with rack.as_node():
                script = [sys.executable, "-c", KILL, rack.cluster.address, SPACE]
                await asyncio.to_thread(subprocess.run, script, check=True, cwd="/")
            gate.touch()
            await until_ended(served, [job])
            detail = await client.job(job)
    finally:
        other.stop()
    assert (detail.job.state, len(detail.attempts)) == (State.SUCCEEDED, 1), detail.job.reason
