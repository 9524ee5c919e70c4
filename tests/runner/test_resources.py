"""What attempts may take of the machine: whose word counts, and that a real one which takes more is ended, alone."""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.agents.base import Outcome
from engine.config import AgentSettings, ProjectSettings, Settings
from engine.config.resources import ResourceSettings, complaints
from engine.model import Failure, JobSpec, Order, Resources, State, Verb
from engine.runner import enforcing
from engine.runner.cgroup import Cgroups
from engine.runner.ending import by_limit
from engine.runner.resources import Taken, allowed, exceeded, soonest, ulimits
from engine.runner.scopes import Scopes
from engine.serving import serving
from tests.runner.claims import claim
from tests.runner.living import ended, launched, submit
from tests.runner.test_cuts import living

GIB, MIB = 1 << 30, 1 << 20


def may(spec: JobSpec, **said: ResourceSettings) -> Resources:
    words = {name.replace("__", ":"): one for name, one in said.items()}
    return allowed(claim(spec), Settings(resources=words))


def test_the_nearest_scopes_word_counts_field_by_field() -> None:
    said = {
        "target__claude": ResourceSettings(pids=64, fsize=0),
        "all": ResourceSettings(memory="1G", pids=512, fsize="2G", cpu_time="1h"),
        "agent__claude": ResourceSettings(memory="2G"),
        "agent__codex": ResourceSettings(memory="9G", nofile=99),
    }
    found = may(JobSpec(prompt="x"), **said)
    assert found == Resources(memory=2 * GIB, pids=64, cpu_time=3_600_000)
    assert may(JobSpec(prompt="x", memory="500M"), **said).memory == 500 * MIB, "the job's own word"
    assert may(JobSpec(prompt="x")) == Resources()


def test_an_agents_own_memory_goes_before_everybodys_and_comes_after_its_targets() -> None:
    settings = Settings(
        agents={"claude": AgentSettings(memory="2G")},
        resources={"all": ResourceSettings(memory="1G"), "target:claude": ResourceSettings(memory="3G")},
    )
    assert allowed(claim(JobSpec(prompt="x")), settings).memory == 3 * GIB
    without = Settings(agents=settings.agents, resources={"all": ResourceSettings(memory="1G")})
    assert allowed(claim(JobSpec(prompt="x")), without).memory == 2 * GIB


def test_what_is_wrong_is_said_where_it_stands() -> None:
    settings = Settings(
        agents={"shell": AgentSettings(memory="1G")},
        projects={"api": ProjectSettings(path="/api")},
        resources={
            "everyone": ResourceSettings(),
            "project:apo": ResourceSettings(),
            "agent:shell": ResourceSettings(memory="2G"),
            "all": ResourceSettings(nofile=3, fsize="much", cpu_time="soon"),
        },
    )
    found = {keys[1:]: why for keys, why in complaints(settings)}
    assert "a scope is all or one of agent:NAME" in found["everyone",]
    assert "api" in found["project:apo",]
    assert "say it in one place" in found["agent:shell", "memory"]
    assert {("all", "nofile"), ("all", "fsize"), ("all", "cpu_time")} <= found.keys()


@pytest.mark.parametrize(
    ("taken", "failure", "said"),
    [
        (Taken(memory=3 * GIB), Failure.OUT_OF_MEMORY, "ended by its memory limit of 2 GiB, at 3 GiB"),
        (Taken(memory=GIB, starved=True), Failure.OUT_OF_MEMORY, "ended by its memory limit of 2 GiB, at 1 GiB"),
        (
            Taken(tasks=65),
            Failure.RESOURCE_EXCEEDED,
            "too many processes: ended by its limit of 64 with threads, at 65",
        ),
        (Taken(tasks=64, refused=2), Failure.RESOURCE_EXCEEDED, "asking for more 2 times"),
        (Taken(cpu_ms=61_000), Failure.RESOURCE_EXCEEDED, "ended by its limit of 1m of processor time, at 1m 1s"),
    ],
)
def test_each_limit_says_which_it_was_and_where_the_attempt_stood(taken: Taken, failure: Failure, said: str) -> None:
    limits = Resources(memory=2 * GIB, pids=64, cpu_time=60_000)
    cut = exceeded(limits, taken)
    assert cut is not None and cut.failure is failure and said in cut.reason
    assert exceeded(Resources(), taken) is None
    assert exceeded(limits, Taken(memory=2 * GIB, tasks=64, cpu_ms=60_000)) is None, "that much it may"


def test_a_process_is_given_no_more_than_we_have_and_no_core() -> None:
    assert ulimits(Resources(), 1024, {}) == "c=0 Sn=1024"
    said = dict(
        word.split("=")
        for word in ulimits(Resources(nofile=4096, fsize=MIB, cpu_time=90_000), 1024, {"n": 2048}).split()
    )
    assert said == {"c": "0", "n": "2048", "f": "2048", "St": "100", "Ht": "110"}
    assert "v=1048576" in ulimits(Resources(address_space=GIB), 1024, {}).split()


def test_the_nearer_a_limit_the_sooner_it_is_looked_at() -> None:
    limits = Resources(memory=1000, pids=100)
    assert soonest(limits, Taken(memory=100), Taken(memory=200), 2.0) == 16.0
    assert soonest(limits, Taken(memory=100, tasks=10), Taken(memory=200, tasks=90), 2.0) == 0.25
    assert soonest(limits, Taken(memory=200), Taken(memory=100), 2.0) is None


def test_what_the_kernel_did_is_read_off_the_group(tmp_path: Path) -> None:
    limits = Resources(memory=2 * GIB, pids=64)
    assert enforcing.verdict(None, limits, None) is None
    assert enforcing.verdict(tmp_path, limits, None) is None
    (tmp_path / "pids.events").write_text("max 3\n")
    found = enforcing.verdict(tmp_path, limits, None)
    assert found is not None and "asking for more 3 times" in found.reason
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 1\n")
    (tmp_path / "memory.peak").write_text(f"{round(1.98 * GIB)}\n")
    found = enforcing.verdict(tmp_path, limits, 5)
    assert found is not None and found.reason == "ended by its memory limit of 2 GiB, at 2 GiB"
    failed = Outcome(succeeded=False, failure=Failure.CRASHED, reason="killed")
    assert by_limit(failed, found, said=False).failure is Failure.OUT_OF_MEMORY
    assert by_limit(failed, found, said=True) is failed
    done = Outcome(succeeded=True, failure=None, reason="")
    assert by_limit(done, found, said=False) is done


def test_a_group_with_the_controllers_is_given_the_limits(tmp_path: Path) -> None:
    groups = Cgroups(tmp_path, frozenset({"memory", "pids"}))
    made = groups.create("m", Resources(memory=GIB, pids=64))
    assert made is not None
    written = {file.name: file.read_text() for file in made.iterdir()}
    assert written == {"memory.oom.group": "1", "memory.swap.max": "0", "memory.max": str(GIB), "pids.max": "64"}
    assert "cgroup" in enforcing.way(groups)
    bare = Cgroups(tmp_path).create("n", Resources(memory=GIB, pids=64))
    assert bare is not None and not list(bare.iterdir()), "without the controllers there are no such files"
    assert enforcing.way(Cgroups(tmp_path)) == enforcing.WATCHED


def test_a_scope_of_systemd_is_asked_for_with_the_limits_and_what_it_counted_outlives_it(tmp_path: Path) -> None:
    scopes = Scopes(tmp_path / "headway.slice", user=True)
    words = scopes.command("abc", Resources(memory=GIB, pids=64))
    assert words[:3] == ["systemd-run", "--user", "--scope"] and words[-1] == "--"
    assert {f"--property=MemoryMax={GIB}", "--property=MemorySwapMax=0", "--property=TasksMax=64"} <= set(words)
    assert "--user" not in Scopes(tmp_path, user=False).command("abc", Resources(pids=64))
    groups = Cgroups(None)
    groups.scopes = scopes
    assert "scope of systemd" in enforcing.way(groups)
    assert groups.scoped(Resources(fsize=1)) is None, "rlimits need no group"
    assert groups.scoped(Resources(pids=1)) is scopes
    assert groups.of("abc") is None
    scopes.group("abc").mkdir(parents=True)
    assert groups.of("abc") == scopes.root / "headway-abc.scope", "an engine that comes back finds it"
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "memory.events").write_text("oom_kill 1\n")
    limits = Resources(memory=GIB)
    assert enforcing.verdict(scopes.group("abc"), limits, GIB, kept) is None, "it is there itself"
    found = enforcing.verdict(scopes.group("gone"), limits, GIB, kept)
    assert found is not None and found.failure is Failure.OUT_OF_MEMORY


# Real ones


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.0)


#: Takes 8 MiB more every hundredth of a second.
GROW = "import time; held = []\nwhile True: held.append(bytearray(b'x') * (8 << 20)); time.sleep(0.01)"
ALLOCATE = f'exec {sys.executable} -I -S -c "{GROW}"'
FORK = "while :; do sleep 600 & done"
BURN = "while :; do :; done"
WRITE = "dd if=/dev/zero of=big bs=64k 2>&1; echo exit $?; ls -l big; exit 9"
ENDED = "exec dd if=/dev/zero of=big bs=64k"


def command(text: str, **more: Any) -> JobSpec:
    return JobSpec(prompt=text, agent="shell", **more)


LIMITS = {
    "agent:shell": ResourceSettings(memory="160M", fsize="1M", nofile=64, cpu_time="2s"),
    "tag:few": ResourceSettings(pids=40),
    "tag:free": ResourceSettings(memory=0, cpu_time=0),
}


async def test_each_that_takes_too_much_is_ended_and_its_neighbour_lives(home: Path) -> None:
    settings = Settings(grace=1.0, agents={"shell": AgentSettings()}, resources=LIMITS)
    async with serving(home, settings) as engine:
        (waiting,) = await submit(engine, command("true", not_before="1h"))
        notes = (await engine.explain(waiting)).notes
        assert any(one.startswith("an attempt may take 160 MiB of memory, 2s of processor time") for one in notes)
        assert any("held to that by" in one for one in notes)
        (neighbour,) = await submit(engine, command("while :; do sleep 60; done", tags=["free"]))
        wanted = [command(ALLOCATE), command(FORK, tags=["few"]), command(BURN), command(ENDED), command(WRITE)]
        wanted.append(command("ulimit -n; ulimit -c"))
        jobs = await submit(engine, *wanted)
        found = [await ended(engine, job) for job in jobs]
        grown, forked, burnt, wrote, tried, told = [row for row, _ in found]
        assert (grown.failure, len(found[0][1])) == (Failure.OUT_OF_MEMORY, 1), "not blindly again"
        assert re.fullmatch(r"ended by its memory limit of 160 MiB, at [\d.]+ [MG]iB", grown.reason or "")
        assert forked.failure is Failure.RESOURCE_EXCEEDED
        assert (forked.reason or "").startswith("too many processes: ended by its limit of 40 with threads")
        assert (burnt.reason or "").startswith("ended by its limit of 2s of processor time, at ")
        assert (wrote.failure, wrote.reason) == (Failure.RESOURCE_EXCEEDED, "ended by its limit of 1 MiB for a file")
        assert all(len(tries) == 1 for _, tries in found)
        said = [(await engine.attempt_files(job, None))[1].stdout.read_text() for job in jobs]
        assert "exit 153" in said[4] and " 1048576 " in said[4], "its own shell is told, and went on"
        assert tried.failure is Failure.UNKNOWN, "what it made of that is its own affair"
        assert said[5].split() == ["64", "0"] and told.state is State.SUCCEEDED
        assert not any(living(tries[0].marker) for _, tries in found)
        assert (await launched(engine, neighbour)).ended_at is None, "the neighbour lives"
        shown = (await engine.job(neighbour)).attempts[0].limits or ""
        assert shown == "64 open files, files of 1 MiB"
        await engine.act(Order(verb=Verb.CANCEL, jobs=[neighbour]), "tester")
        await ended(engine, neighbour)
