"""The image's own steps by hand, in a clean root, where nothing that builds containers is: `make image-check`.

Reads the Dockerfile and runs each step as it stands, so that there is no second list of them. Then it starts what the
image starts, asks how it is, gives it work, stops it as a container is stopped, and looks at what became of the work.
Needs root, bubblewrap, debootstrap, and the network for the packages of the steps.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil

from tests.image.dockerfile import Setup, copy, stages
from tests.image.root import PATH, Root, make_base

ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".cache/image"
PROGRAMS = ("bwrap", "debootstrap", "setpriv")
PATIENCE = 120.0
WORK = "id -un; cat /proc/1/comm; sleep 5; echo ended"  #: a job that says who and where it is, and takes a while
_ASK = """\
import httpx, sys
way = httpx.HTTPTransport(uds=sys.argv[1])
answer = httpx.Client(transport=way).get("http://headway/healthz")
print(answer.status_code, answer.text.strip())
"""


def main() -> None:
    if os.geteuid() != 0 or any(shutil.which(one) is None for one in PROGRAMS):
        sys.exit(f"NOT RUN: it takes root and {', '.join(PROGRAMS)} (Debian: bubblewrap, debootstrap, util-linux)")
    root, setup = build()
    look(root)
    serve(root, setup)
    print("the image is well")


def build() -> tuple[Root, Setup]:
    """All stages; the last one's root, and how it is started."""
    begun = time.monotonic()
    make_base(PLACE / "base")
    say(f"a clean Debian with Python ({time.monotonic() - begun:.0f} s)")
    roots: dict[str, Root] = {}
    for stage in stages((ROOT / "Dockerfile").read_text()):
        say(f"FROM {stage.base} AS {stage.name}")
        root = roots[stage.name] = Root(PLACE / stage.name, PLACE / "base")
        setup = Setup(env={"PATH": PATH})
        for step in stage.steps:
            begun = time.monotonic()
            if step.word == "RUN":
                _run(root, step.rest, setup)
            elif step.word == "COPY":
                taken = copy(step)
                root.copy(taken, setup, roots[taken.stage].path if taken.stage else ROOT)
            else:
                setup.take(step)
            say(f"  {step.word} {step.rest[:90]} ({time.monotonic() - begun:.0f} s)")
    return root, setup


def _run(root: Root, script: str, setup: Setup) -> None:
    try:
        root.run(script, setup)
    except subprocess.CalledProcessError as error:
        sys.exit(f"RUN {script}\nfailed: exit {error.returncode}\n{root.log.read_text()[-3000:]}")


def look(root: Root) -> None:
    """What is in it, and what not."""
    listed = json.loads(root.folder("/opt/headway/sbom.cdx.json").read_text())["components"]
    say(f"its list holds {len(listed)} packages")
    packages = {
        path.name.partition("-")[0] for path in root.folder("/opt/headway").glob("lib/*/site-packages/*.dist-info")
    }
    assert len(listed) >= len(packages) - 1, "all that is in it is in its list"
    assert "pip" not in packages, "what builds stays behind"
    home = root.folder("/var/lib/headway").stat()
    assert (home.st_uid, home.st_mode & 0o777) == (1000, 0o700), "the home is its user's alone"


def serve(root: Root, setup: Setup) -> None:
    """Start what the image starts, and stop it as a container is stopped."""
    command = root.command([*setup.entrypoint, *setup.command], setup, {})
    log = (PLACE / "engine.log").open("w+")
    outer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        inner = _until(
            lambda: next((one for one in psutil.Process(outer.pid).children() if one.name() == "tini"), None)
        )
        say(f"$ {' '.join(setup.entrypoint + setup.command)}: process 1 is {inner.name()}, of uid {inner.uids().real}")
        assert inner.uids().real == 1000, "it is nobody's root"

        def inside(*words: str) -> str:
            """As `docker exec` runs it."""
            entered = ["nsenter", "--target", str(inner.pid), "--mount", "--pid", "--root", "--wd"]
            own = [f"{name}={value}" for name, value in setup.env.items()]
            become = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", "env", "-i", *own]
            done = subprocess.run([*entered, *become, *words], capture_output=True, text=True)
            return done.stdout.strip() if done.returncode == 0 else ""

        health = _until(lambda: inside(*setup.health))
        say(f"$ {' '.join(setup.health)}: {health}")
        asked = inside("python3", "-c", _ASK, "/var/lib/headway/engine.sock")
        say(f"GET /healthz: {asked}")
        assert asked == "200 ok"
        job = inside("headway", "submit", "--agent", "shell", WORK)
        _until(lambda: "running" in inside("headway", "jobs", "--json"))
        say(f"job {job} runs; {setup.stop} to process 1")
        begun = time.monotonic()
        inner.send_signal(getattr(signal, setup.stop))
        code = outer.wait(PATIENCE)
        say(f"it ended by itself after {time.monotonic() - begun:.1f} s, exit {code}")
    finally:
        if outer.poll() is None:
            outer.kill()
            outer.wait()
    log.seek(0)
    told = [json.loads(line)["message"] for line in log if line.startswith("{")]
    say(f"its log: {'; '.join(told)}")
    assert any(line.startswith("drains for at most 20") for line in told)
    _look_at_the_work(root)


def _look_at_the_work(root: Root) -> None:
    home = root.folder("/var/lib/headway")
    with closing(sqlite3.connect(home / "headway.db")) as database:
        state = database.execute("SELECT state FROM jobs").fetchone()[0]
    said = next((home / "runs").glob("*/*/stdout")).read_text().split()
    say(f"the job: {state}; it said: {' '.join(said)}")
    assert state == "succeeded" and said == ["headway", "tini", "ended"], "what ran was let end"


def _until(look: Callable[[], Any]) -> Any:
    """What is there in the end."""
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        if found := look():
            return found
        time.sleep(0.1)
    sys.exit("it did not come up: " + (PLACE / "engine.log").read_text()[-2000:])


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
