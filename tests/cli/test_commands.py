"""The command line as it is typed: what it prints, how it exits, and what it does with mistakes."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine import __version__
from engine import events as log
from engine.server.client import Client
from tests.conftest import Served, settings_file, shell

LAZY = ("textual", "uvicorn", "starlette", "httpx", "aiosqlite", "rich", "yaml", "asyncio", "msgspec", "psutil")


def _loaded(*arguments: str) -> set[str]:
    """Top-level packages that a command line loads."""
    code = "import sys; sys.argv[0] = 'headway'\nfrom console.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    code += "print('LOADED', *{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(done.stdout.split("LOADED")[1].split())


def test_the_version_loads_next_to_nothing() -> None:
    assert not _loaded("--version") & {*LAZY, "typer"}


def test_help_loads_neither_screen_nor_server() -> None:
    assert not _loaded("--help") & {"textual", "uvicorn", "starlette", "httpx", "aiosqlite", "yaml", "psutil"}


def test_lists_and_logs_load_no_screen(served: Served) -> None:
    served.start()
    served.headway("submit", "--agent", "shell", "--scratch", "echo hi")
    served.headway("logs", "-f", "1")
    for command in (["jobs"], ["show", "1"], ["logs", "1"], ["events"]):
        loaded = _loaded("--home", str(served.home), *command)
        assert not loaded & {"textual", "uvicorn", "starlette", "aiosqlite"}, command


def test_version(home: Path) -> None:
    assert Served(home).headway("--version").stdout == f"headway {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("jobs",), 3, "no engine serves"),
        (("submit", "x"), 3, "no engine serves"),
        (("submit",), 2, "give a prompt"),
        (("jbos",), 2, "jobs"),
        (("submit", "x", "--priority", "12"), 2, "--priority"),
        (("hold",), 2, "which jobs?"),
        (("hold", "--all", "3"), 2, "not several of them"),
        (("cancel", "twelve"), 2, "'twelve' is not a job id"),
        (("submit", "-f", "missing.yaml"), 2, "missing.yaml cannot be read"),
        (("skills", "show", "triag"), 4, "there is no skill 'triag'"),
        (("skills", "triag"), 2, "No such command 'triag'"),
        ((), 2, "needs a terminal"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(home: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = Served(home).headway(*arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_nothing_is_made_by_asking(home: Path) -> None:
    Served(home).headway("jobs")
    Served(home).headway("doctor")
    assert not home.exists()


def test_settings_with_a_mistake_are_refused_with_file_line_and_hint(home: Path) -> None:
    settings_file(home, "max_running: 4\nagents:\n  claude:\n    max_runing: 2\n")
    done = Served(home).headway("serve")
    assert done.returncode == 2
    assert done.stderr.strip() == (
        f"headway: {home / 'headway.yaml'}, line 4: agents.claude: no key 'max_runing'; did you mean 'max_running'?"
    )


def test_a_submitted_job_is_seen_by_every_list(served: Served) -> None:
    settings_file(served.home, "max_running: 0\n")
    served.start()
    done = served.headway("submit", "--agent", "shell", "--scratch", "--title", "greet", "--priority", "2", "echo hi")
    assert (done.returncode, done.stdout) == (0, "1\n")
    listed: Any = served.json("jobs")
    assert [(job["id"], job["state"], job["title"], job["priority"]) for job in listed] == [(1, "ready", "greet", 2)]
    assert "greet" in served.headway("jobs", "state:ready", "gree").stdout
    assert served.json("jobs", "--state", "failed") == []
    shown: Any = served.json("show", "J1")
    assert shown["spec"]["prompt"] == "echo hi"
    assert [reason["text"] for reason in shown["waiting"]] == ["0 of 0 attempts run"]
    kinds = [event["body"]["kind"] for event in served.json("events")]  # type: ignore[attr-defined]
    assert [kind for kind in kinds if kind != "audited"] == ["engine_started", "submitted"]
    assert served.headway("logs", "1").returncode == 4


def test_verbs_say_what_they_did_and_what_they_left(served: Served) -> None:
    settings_file(served.home, "max_running: 0\n")
    served.start()
    served.headway(
        "submit", "--agent", "shell", "--scratch", "-f", "-", stdin="- prompt: a\n- prompt: b\n- prompt: c\n"
    )
    assert served.headway("hold", "1").stdout == "held J1\n"
    again = served.headway("hold", "1-2")
    assert again.stdout == "held J2; left J1: already held\n"
    assert served.headway("hold", "1").returncode == 5
    would = served.headway("cancel", "--dry-run", "1", "2", "3")
    assert would.stdout.splitlines()[:2] == ["would cancel 3 jobs", "  J1        leaves the queue"]
    assert served.headway("release", "1", "2").stdout == "released 2 jobs\n"
    assert served.headway("cancel", "2").stdout == "cancelled J2\n"
    assert served.headway("retry", "2").stdout == "put back J2\n"
    assert served.headway("hold", "--all").stdout == "held everything\n"
    assert served.headway("release", "--all").stdout == "released everything\n"


def test_five_thousand_jobs_are_accepted_in_one_transaction_or_not_at_all(served: Served, tmp_path: Path) -> None:
    settings_file(served.home, "max_running: 0\n")
    served.start()
    good = "".join(f"- prompt: echo {n}\n  agent: shell\n" for n in range(5_000))
    (tmp_path / "jobs.yaml").write_text(good)
    done = served.headway("submit", "-f", str(tmp_path / "jobs.yaml"))
    assert done.stdout.split() == [str(n) for n in range(1, 5_001)]
    times = {event["at"] for event in served.json("events", "--limit", "5000", "--after", "1")}  # type: ignore[attr-defined]
    assert len(times) == 1, "one transaction has one time"

    bad = good.replace("- prompt: echo 4321\n  agent: shell\n", "- prompt: echo 4321\n  agnet: shell\n")
    (tmp_path / "bad.yaml").write_text(bad)
    refused = served.headway("submit", "-f", str(tmp_path / "bad.yaml"))
    assert refused.returncode == 2
    assert refused.stderr.strip() == (
        f"headway: {tmp_path / 'bad.yaml'}, line 8644: no key 'agnet'; did you mean 'agent'?"
    )
    (tmp_path / "worse.yaml").write_text(bad.replace("agnet: shell", "agent: shel"))
    refused = served.headway("submit", "-f", str(tmp_path / "worse.yaml"))
    assert refused.stderr.strip() == (
        f"headway: {tmp_path / 'worse.yaml'}, line 8644: agent: there is no agent 'shel'; did you mean 'shell'?"
    )
    newest: Any = served.json("jobs", "--limit", "1000", "echo")
    assert max(job["id"] for job in newest) <= 5_000


def test_raw_logs_are_what_was_printed_and_shown_ones_cannot_steer_a_terminal(served: Served) -> None:
    served.start()
    served.headway("submit", "--agent", "shell", "--scratch", r"printf '\033]0;owned\007\033[2Jred\n'")
    done = served.headway("logs", "-f", "1")
    assert done.stdout == "red\n"
    raw = served.headway("logs", "--raw", "1")
    assert raw.stdout == "\x1b]0;owned\x07\x1b[2Jred\n"
    as_json = served.headway("logs", "--json", "1").stdout.splitlines()
    assert json.loads(as_json[0])["event"] == {"kind": "output", "text": "\x1b]0;owned\x07\x1b[2Jred"}


def test_doctor_finds_what_is_wrong_and_says_how_to_mend_it(served: Served) -> None:
    served.start()
    found: Any = json.loads(served.headway("doctor", "--deep", "--json").stdout)
    checks = {check["name"]: check for check in found}
    assert checks["engine"]["ok"]
    assert checks["log"]["ok"]
    assert checks["themes"]["ok"]
    assert checks["skills"]["ok"]
    with closing(sqlite3.connect(served.home / "headway.db")) as connection:
        connection.execute("DROP TABLE batches")
    found = json.loads(served.headway("doctor", "--json").stdout)
    assert [check["found"] for check in found if check["name"] == "database"] == ["it has no table batches"]
    served.home.chmod(0o755)
    done = served.headway("doctor")
    assert done.returncode == 1
    assert f"chmod go= {served.home}" in done.stdout


def test_shutdown_leaves_jobs_to_the_next_engine(served: Served, tmp_path: Path) -> None:
    served.start()
    served.headway("submit", "--agent", "shell", "--scratch", f"echo a >>{tmp_path / 'lines'}; sleep 600")
    while not (tmp_path / "lines").exists():
        pass
    assert served.headway("shutdown").returncode == 0
    assert served.process is not None
    assert served.process.wait(30) == 0
    served.start()
    listed: Any = served.json("jobs", "--state", "running")
    assert [job["attempts"] for job in listed] == [1]
    assert served.headway("cancel", "1").stdout == "cancelled J1\n"
    assert (tmp_path / "lines").read_text() == "a\n"


async def test_a_cancel_does_not_say_that_it_is_done_when_the_engine_ends_before_it_is(served: Served) -> None:
    settings_file(served.home, "grace: 60\n")
    served.start()
    async with Client(served.home) as client:
        (job,) = await client.submit([shell("trap '' TERM; while :; do sleep 0.1; done")])
    await served.until(lambda event: isinstance(event.body, log.Launched))
    cancel = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "console.cli", "--home", str(served.home), "cancel", str(job),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    await served.until(lambda event: isinstance(event.body, log.Stopping))
    await asyncio.to_thread(served.stop)
    said, wrong = await cancel.communicate()
    assert (cancel.returncode, said) == (3, b"")
    assert f"the engine ended while J{job} was being stopped; the next one goes on with it" in wrong.decode()
    settings_file(served.home, "grace: 0\n")
    served.start()
    await served.until_ended([job])
    assert served.headway("cancel", str(job)).stdout == f"left J{job}: already cancelled\n"


@pytest.mark.parametrize("format_", ["claude", "codex", "opencode", "gemini"])
async def test_logs_read_an_agent_in_the_format_that_its_model_names(served: Served, format_: str) -> None:
    served.env["HEADWAY_REHEARSAL_SPEED"] = "0"
    served.start()
    submitted = served.headway("submit", "--scratch", "--agent", "rehearsal", "--model", f"{format_}/fix-bug", "go")
    assert submitted.returncode == 0, submitted.stderr
    await served.until_ended([1])
    lines = served.headway("logs", "1").stdout.splitlines()
    assert any("ledger.py" in line for line in lines)
    assert not [line for line in lines if '{"type"' in line], "nothing is shown as it was printed"
