"""What an attempt may take of the machine, and what it comes to when it takes more. Pure.

Memory, processes and processor time are of a whole tree: the kernel holds them where the attempt has a group of its own
with the controllers for that, and else the engine looks. Files and address space are of each process (setrlimit(2)).
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from engine.config import Settings
from engine.config.resources import resources_of
from engine.model import Failure, JobSpec, Resources, Target
from engine.runner.cut import Cut
from engine.store.claims import Claim
from engine.store.rows import JobRow
from engine.units import amount, size, span

NOTHING = Resources()

BLOCK = 512  #: bytes that `ulimit -f` counts in (POSIX)
#: Seconds by which one process may pass the processor time of its tree before the kernel ends it: the engine, which
#: sees the whole tree and can say why, comes first where there is one.
CPU_SLACK_SECONDS = 10

_BY_SIGNAL = {128 + signal.SIGXFSZ: "fsize", 128 + signal.SIGXCPU: "cpu_time"}


def allowed(claim: Claim, settings: Settings) -> Resources:
    """What an attempt may take."""
    return of_job(claim.job, claim.spec, claim.attempt.target, settings)


def of_job(job: JobRow, spec: JobSpec, target: Target, settings: Settings) -> Resources:
    """What an attempt at a target may take: its job's own word on memory, else what the settings say of its scopes."""
    scopes = (
        f"agent:{target.agent}",
        f"account:{target.paid_by}",
        f"target:{target}",
        f"project:{job.project or ''}",
        *(f"tag:{tag}" for tag in job.tags.split()),
    )
    found = resources_of(settings, scopes)
    return found if spec.memory is None else replace(found, memory=size(spec.memory))


@dataclass(frozen=True, slots=True)
class Taken:
    """What a tree takes at one moment."""

    memory: int = 0
    cpu_ms: int = 0
    tasks: int = 0
    """Processes and threads."""
    refused: int = 0
    """So often the kernel would not let it have one more of them."""
    starved: bool = False
    """The kernel has ended a part of it for its memory."""


def exceeded(may: Resources, taken: Taken) -> Cut | None:
    """The limit of its tree that an attempt has passed, if it has."""
    if 0 < may.memory < taken.memory or (may.memory and taken.starved):
        return out_of_memory(may.memory, taken.memory)
    if may.pids and (taken.tasks > may.pids or taken.refused):
        return too_many(may.pids, taken)
    if 0 < may.cpu_time < taken.cpu_ms:
        what = f"ended by its limit of {span(may.cpu_time)} of processor time, at {span(taken.cpu_ms)}"
        return Cut(Failure.RESOURCE_EXCEEDED, what)
    return None


def out_of_memory(may: int, held: int) -> Cut:
    """It held more than it may, or was ended by the kernel when it asked for that."""
    return Cut(Failure.OUT_OF_MEMORY, f"ended by its memory limit of {amount(may)}, at {amount(held)}")


def too_many(may: int, taken: Taken) -> Cut:
    """Too many processes and threads, or one more than the kernel gave it."""
    seen = f"at {taken.tasks}" if taken.tasks > may else f"asking for more {taken.refused} times"
    return Cut(Failure.RESOURCE_EXCEEDED, f"too many processes: ended by its limit of {may} with threads, {seen}")


def by_signal(may: Resources, code: int | None) -> Cut | None:
    """What the exit code of a program tells of a limit that the kernel ended it by."""
    which = _BY_SIGNAL.get(code or 0)
    if which == "fsize" and may.fsize:
        return Cut(Failure.RESOURCE_EXCEEDED, f"ended by its limit of {amount(may.fsize)} for a file")
    if which == "cpu_time" and may.cpu_time:
        return Cut(Failure.RESOURCE_EXCEEDED, f"ended by its limit of {span(may.cpu_time)} of processor time")
    return None


def ulimits(may: Resources, soft_files: int, hard: Mapping[str, int]) -> str:
    """Limits as the shim sets them for each process: words such as `f=2048`, an option of `ulimit` and its value.

    `hard` is what this process may have itself, by the same options: more than that cannot be given. Nobody leaves a
    core, which would be a copy of an agent's memory with its keys.
    """
    wanted = {"c": 0, "Sn": soft_files}
    if may.nofile:
        wanted |= {"n": may.nofile}
        del wanted["Sn"]
    if may.fsize:
        wanted["f"] = max(1, may.fsize // BLOCK)
    if may.cpu_time:
        seconds = -(-may.cpu_time // 1000) + CPU_SLACK_SECONDS
        wanted |= {"St": seconds, "Ht": seconds + CPU_SLACK_SECONDS}  # at the hard one it is killed, and says nothing
    if may.address_space:
        wanted["v"] = max(1, may.address_space // 1024)
    return " ".join(f"{option}={min(value, hard.get(option[-1], value))}" for option, value in wanted.items())


def soonest(may: Resources, before: Taken, now: Taken, seconds: float) -> float | None:
    """Seconds until a limit of the tree is reached if it goes on as between two looks; None where none would be."""
    left: list[float] = []
    for limit, was, is_ in (
        (may.memory, before.memory, now.memory),
        (may.pids, before.tasks, now.tasks),
        (may.cpu_time, before.cpu_ms, now.cpu_ms),
    ):
        if limit and is_ > was:
            left.append((limit - is_) * seconds / (is_ - was))
    return max(0.0, min(left)) if left else None
