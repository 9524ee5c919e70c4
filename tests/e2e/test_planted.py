"""Secrets and terminal sequences planted wherever text comes in: none is found wherever Headway writes or shows.

A real engine, real processes, a real webhook, the real command line and console in terminals of 80 by 24.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from engine import events as log
from engine.model import JobSpec, Permission
from engine.plain import is_plain
from engine.server.client import Client
from tests.conftest import ENDS, PATIENCE, Served, settings_file
from tests.engine.test_plain import HOSTILE
from tests.engine.test_redact import KEYS, PEM
from tests.forked import popen
from tests.notify.conftest import Web, web  # noqa: F401

#: Where each is planted. One is of a maker without a sign, and known by its value alone.
PLANTED = {
    "environment": "Zq9/known+value=of-a-test-Zq9",
    "prompt": KEYS["anthropic api03"],
    "title": KEYS["openai project"],
    "stdout": KEYS["anthropic oat01"],
    "stderr": KEYS["google"],
    "output of a tool": KEYS["github"],
    "file in the diff": KEYS["gitlab"],
    "private key in the diff": "\n".join(PEM.splitlines()[1:3]),
    "commit message": KEYS["npm"],
    "error": KEYS["stripe"],
    "question on a card": KEYS["slack"],
    "option on a card": KEYS["hugging face"],
    "answer of the operator": KEYS["pypi"],
    "note of memory": KEYS["vault"],
    "address": "pa55word-in-an-address",
}
SAID = "".join(one for name, one in HOSTILE.items() if name != "half")
#: What a console would never write of its own.
SHOWN = re.compile(
    rb"\x1b\][0-9]*;[^\x07\x1b]*(?:owned|evil|cm0g)|\x1b\](?:52|8)|\x1b[P^c]|\xc2[\x80-\x9f]|\xe2\x80\xae|\xe2\x81\xa7"
)


def _scenario(tmp_path: Path) -> Path:
    tool = tmp_path / "tool"
    tool.write_text(f"export K={PLANTED['output of a tool']} {SAID}\n")
    steps = [
        {"do": "say", "text": f"found {PLANTED['stdout']} and https://me:{PLANTED['address']}@host/x {SAID}"},
        {"do": "run", "command": f"cat {tool}"},
        {"do": "write", "path": "config.txt", "text": f"key = {PLANTED['file in the diff']}\n{PEM}\n{SAID}\n"},
        {"do": "run", "command": "git add -A && git -c user.name=x -c user.email=x@x commit -qm "
                                 f"'use {PLANTED['commit message']}'"},
        {"do": "ask", "text": f"Use {PLANTED['question on a card']}? {SAID}",
         "options": [f"yes {PLANTED['option on a card']}", "no"]},
        {"do": "fail", "kind": "exit", "code": 3, "text": f"cannot reach {PLANTED['error']} {SAID}"},
    ]  # fmt: skip
    file = tmp_path / "scenario.yaml"
    file.write_text(yaml.safe_dump({"about": "planted", "steps": steps}))
    return file


def _settings(served: Served, tmp_path: Path, hook: str) -> None:
    key = tmp_path / "key"
    key.write_text(PLANTED["environment"])
    key.chmod(0o600)
    settings_file(
        served.home,
        f"""\
grace: 1
max_attempts: 1
accounts:
  work: {{agent: shell, key: {{file: {key}, variable: WORK_KEY}}}}
notify:
  gather: 0s
  channels: {{hook: {{kind: webhook, url: '{hook}', key: {{file: {key}}}}}}}
  tell: {{needs_you: [hook], failed: [hook]}}
""",
    )


def _forms(secret: str) -> set[bytes]:
    """A secret as it is, in JSON, and what is the same in every base64 of it."""
    coded = {base64.b64encode(b"x" * n + secret.encode())[4:-4] for n in range(3)}
    return {secret.encode(), json.dumps(secret)[1:-1].encode(), *coded}


def _found(where: str, data: bytes) -> list[str]:
    return [f"{name} in {where}" for name, secret in PLANTED.items() if any(one in data for one in _forms(secret))]


def _in_home(home: Path) -> list[str]:
    """In the files of a home. A worktree is its agent's own, and the scenario is the stand-in for the agent itself."""
    files = [one for one in home.rglob("*") if one.is_file() and one.relative_to(home).parts[0] != "worktrees"]
    files = [one for one in files if one.name != "scenario.json"]
    assert {"headway.db", "stdout", "stderr", "diff.patch", "engine.log"} <= {one.name for one in files}
    return [found for one in files for found in _found(str(one.relative_to(home)), one.read_bytes())]


class Screen:
    """A command in a terminal of 80 by 24: the bytes that it wrote."""

    def __init__(self, served: Served, *arguments: str) -> None:
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
        env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "SSH_CONNECTION", "LINES", "COLUMNS")}
        self.process = popen(
            [sys.executable, "-m", "console.cli", "--home", str(served.home), *arguments],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**env, "TERM": "xterm-256color"},
        )  # fmt: skip
        os.close(slave)
        self.wrote = b""

    def _read(self) -> bool:
        if not select.select([self.master], [], [], 1.0)[0]:
            return True
        try:
            data = os.read(self.master, 1 << 16)
        except OSError:
            return False
        self.wrote += data
        return bool(data)

    def until(self, shown: Callable[[bytes], object]) -> None:
        end = time.monotonic() + PATIENCE
        start = len(self.wrote)
        while not shown(self.wrote[start:]):
            assert time.monotonic() < end and self._read(), self.wrote[-2000:]

    def all(self) -> bytes:
        while self._read():
            if self.process.poll() is not None and not select.select([self.master], [], [], 0)[0]:
                break
        self.close()
        return self.wrote

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(PATIENCE)
        os.close(self.master)


@pytest.mark.long
async def test_what_is_planted_anywhere_is_found_nowhere(
    served: Served,
    tmp_path: Path,
    repository: Path,
    web: Web,  # noqa: F811
) -> None:
    _settings(served, tmp_path, web.url)
    served.env = {"HEADWAY_REHEARSAL_SPEED": "0"}
    script = tmp_path / "script.sh"
    script.write_text(
        f'echo "$WORK_KEY"; echo "x$WORK_KEY" | base64; printf %s "${{WORK_KEY%??????}}"; echo; '
        f"printf '{PLANTED['stderr']} \\033]0;owned\\007\\n' >&2; exit 3\n"
    )
    served.start()
    async with Client(served.home) as client:
        asks = JobSpec(
            prompt=f"Log in with {PLANTED['prompt']}\n{SAID}",
            title=f"TITLE {PLANTED['title']} {SAID}",
            agent="rehearsal",
            model=str(_scenario(tmp_path)),
            project=str(repository),
            permission=Permission.ASK,
        )
        (asking,) = await client.submit([asks])
        (failing,) = await client.submit([JobSpec(prompt=f"sh {script}", agent="shell", account="work")])
        await served.until(lambda event: event.job == asking and isinstance(event.body, (log.Asked, *ENDS.__args__)))
    card = next(one for one in json.loads(served.headway("inbox", "--json").stdout) if one["job"] == asking)
    inbox = Screen(served, "inbox", str(card["id"])).all()
    answered = served.headway(
        "answer", str(card["id"]), "answer", "--reason", f"with {PLANTED['answer of the operator']}"
    )
    assert answered.returncode == 0, answered.stderr
    await served.until_ended([asking, failing])
    added = served.headway("memory", "add", f"the key is {PLANTED['note of memory']} {SAID}")
    assert added.returncode == 0, added.stderr
    told = await web.wait(3)

    said = {"a notice": b"".join(one.body for one in told), "inbox in a terminal": inbox}
    commands = [
        ("jobs",), ("inbox",), ("show", str(asking)), ("show", str(failing)), ("logs", str(asking)),
        ("logs", str(failing)), ("logs", "--raw", str(asking)), ("logs", "--raw", str(failing)),
        ("logs", "--json", str(asking)),
        ("events",), ("events", "--json"), ("diff", str(asking)), ("told", str(asking), "--texts"), ("memory",),
        ("explain", str(asking)), ("export",),
    ]  # fmt: skip
    for one in commands:
        done = served.headway(*one)
        said[" ".join(one)] = (done.stdout + done.stderr).encode()
    for one in (("jobs",), ("show", str(asking)), ("logs", str(asking)), ("events",), ("diff", str(asking)),
                ("logs", "--raw", str(failing)), ("memory",)):  # fmt: skip
        wrote = Screen(served, *one).all()
        said[f"{' '.join(one)} in a terminal"] = wrote
        assert b"\x1b" not in wrote, (one, wrote)
        assert is_plain(wrote.decode().replace("\r\n", "\n")), (one, wrote)

    screen = Screen(served)
    screen.until(lambda wrote: len(wrote) > 1_000)
    for key in (b"2", b"\r"):  # the queue, and its first job with the timeline
        screen.press(key)
        screen.until(lambda wrote: b"TITLE" in wrote)
    screen.close()
    said["the console"] = screen.wrote
    assert not SHOWN.search(screen.wrote), SHOWN.findall(screen.wrote)

    found = [one for where, data in said.items() for one in _found(where, data)]
    assert found == []
    assert _in_home(served.home) == []
    assert "[key]" in said["events --json"].decode()
    served.stop()
    assert _in_home(served.home) == []
