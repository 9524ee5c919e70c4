"""One target, fuzzed for so long: what it read, and what it broke."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import HypothesisWarning

from tests.fuzz.contract import bounded, holds
from tests.fuzz.mutation import inputs
from tests.fuzz.target import Read, Target
from tests.fuzz.targets import TARGETS

BATCH = 400  #: inputs of one run of hypothesis
ROOMS = ("/engine/", "/console/", "/tests/fuzz/targets/")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that broke the contract."""

    target: str
    data: bytes
    what: str
    """The error, in a line."""
    trace: str

    @property
    def name(self) -> str:
        return f"{self.target}-{hashlib.sha256(self.data).hexdigest()[:10]}"

    def write(self, folder: Path) -> Path:
        """The bytes, and beside them how they broke it."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.name
        path.write_bytes(self.data)
        path.with_suffix(".txt").write_text(self.trace, encoding="utf-8", errors="backslashreplace")
        return path


@dataclass(slots=True)
class Course:
    """How a target went."""

    target: str
    executions: int = 0
    seconds: float = 0.0
    """Of CPU."""
    slowest: float = 0.0
    """The CPU of one input, in seconds."""
    findings: dict[str, Finding] = field(default_factory=dict)
    """By where they broke: what breaks in one place is told once."""


def alone(name: str, minutes: float, first: int, folder: Path) -> Course:
    """Fuzz a target in this process, which does nothing else: on one core, kindly, in a home of its own."""
    os.nice(5)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as place:
        os.environ |= {"HOME": place, "XDG_CONFIG_HOME": place, "XDG_STATE_HOME": place}
        os.chdir(place)
        try:
            return run(TARGETS[name], minutes, folder, first)
        finally:
            os.chdir("/")


def last(folder: Path, name: str) -> Path:
    """Where the input is kept that is being read: for the case that its reader takes the process with it."""
    return folder / f"{name}-last"


def run(target: Target, minutes: float, folder: Path, first: int = 0) -> Course:
    """Fuzz for so many minutes of CPU. `first`: the seed of the first batch, for another course than before."""
    course = Course(target.name)
    folder.mkdir(parents=True, exist_ok=True)
    with target.opened() as opened, last(folder, target.name).open("wb", buffering=0) as kept:

        def read(data: bytes) -> None:
            os.pwrite(kept.fileno(), data, 0)
            os.ftruncate(kept.fileno(), len(data))
            opened(data)

        for one in target.seeds():
            _warm(read, one)
        begun, number = time.process_time(), first
        with bounded():
            while time.process_time() - begun < minutes * 60:
                if (found := _batch(target, read, course, number)) is not None:
                    print(f"  {target.name}: {found.what}\n    {found.write(folder)}", flush=True)
                number += 1
        course.seconds = time.process_time() - begun
    last(folder, target.name).unlink()
    return course


def _warm(read: Read, data: bytes) -> None:
    """What is imported or compiled with the first input is not its doing."""
    holds(read, data, slack=60)


def _batch(target: Target, read: Read, course: Course, number: int) -> Finding | None:
    """Some inputs. The first that breaks in a new place comes out shrunk."""
    newest: tuple[bytes, Exception] | None = None

    @seed(number)
    @settings(
        max_examples=BATCH,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(inputs(target))
    def one(data: bytes) -> None:
        nonlocal newest
        course.executions += 1
        try:
            course.slowest = max(course.slowest, holds(read, data))
        except Exception as error:
            if _place(error) in course.findings:
                return
            newest = (data, error)
            raise

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HypothesisWarning)
            one()
    except Exception:
        if newest is None:
            raise
        data, error = newest
        line = "".join(c if c.isprintable() else " " for c in f"{type(error).__name__}: {error}")[:300]
        found = Finding(target.name, data, line, "".join(traceback.format_exception(error)))
        course.findings[_place(error)] = found
        return found
    return None


def _place(error: BaseException) -> str:
    """Where in our own code it broke, and by what."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [one for one in frames if any(room in one.filename for room in ROOMS)]
    where = f"{ours[-1].filename}:{ours[-1].lineno}" if ours else ""
    return f"{type(error).__name__} {where}" if where else f"{type(error).__name__} {str(error)[:12]}"
