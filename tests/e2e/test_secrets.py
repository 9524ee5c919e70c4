"""A key that an account refers to is in its agent's environment, and nowhere that Headway writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine import events as log
from engine.model import JobSpec
from engine.server.client import Client
from tests.conftest import Served, settings_file

KEY = "sk-made-up-for-a-test"


def _home(served: Served, file: Path) -> None:
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    settings_file(
        served.home,
        f"""\
grace: 1
accounts:
  work: {{agent: shell, key: {{file: {file}, variable: WORK_KEY}}}}
  gone: {{agent: shell, key: {{file: {file}.none, variable: WORK_KEY}}}}
""",
    )


def _written(home: Path) -> list[str]:
    """The files of a home that hold the key."""
    return [
        str(path.relative_to(home)) for path in home.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()
    ]


async def test_a_key_that_an_agent_prints_reaches_no_log_no_event_and_no_answer(served: Served, tmp_path: Path) -> None:
    _home(served, tmp_path / "key")
    served.start()
    pipe = tmp_path / "pipe"
    command = f"mkfifo {pipe}; echo begun $WORK_KEY; read x < {pipe}; echo ended $WORK_KEY; exit 3"
    async with Client(served.home) as client:
        (job,) = await client.submit([JobSpec(prompt=command, agent="shell", account="work")])
        await served.until(lambda event: event.job == job and isinstance(event.body, log.Launched))
        pid = (await client.job(job)).attempts[0].pid
        assert pid is not None
        commands = Path(f"/proc/{pid}/cmdline").read_bytes()
        assert KEY.encode() not in commands
    # Also an engine that did not hand it out itself knows it, of the attempts that it adopts.
    served.kill()
    (tmp_path / "key").write_text("another-key-by-now\n")
    served.start()
    pipe.write_text("go\n")
    await served.until_ended([job])
    shown: Any = served.json("show", str(job))
    (attempt,) = shown["attempts"]
    assert attempt["result"] == "begun [key]\nended [key]"
    assert "ended [key]" in attempt["reason"]
    for arguments in (("show", str(job)), ("logs", str(job)), ("logs", "--json", str(job)), ("events", "--json")):
        said = served.headway(*arguments)
        assert said.returncode == 0, said.stderr
        assert KEY not in said.stdout + said.stderr
    assert _written(served.home) == []


async def test_a_job_whose_key_is_not_there_waits_for_the_operator(served: Served, tmp_path: Path) -> None:
    _home(served, tmp_path / "key")
    served.start()
    async with Client(served.home) as client:
        (job,) = await client.submit([JobSpec(prompt="true", agent="shell", account="gone")])
        await served.until(lambda event: event.job == job and isinstance(event.body, log.Held))
        detail = await client.job(job)
    assert (detail.job.failure, detail.job.held_by) == ("auth", "headway")
    assert "key.none is not there" in (detail.job.reason or "")
    checked = served.headway("agents", "check", "shell")
    assert checked.returncode == 1
    assert "✗ gone" in checked.stdout
    assert "✓ work" in checked.stdout
    assert KEY not in checked.stdout
    assert served.headway("agents", "check", "nobody").returncode == 4
    listed: Any = served.json("agents")
    assert {agent["agent"] for agent in listed} >= {"claude", "llm", "shell"}
    doctor = served.headway("doctor")
    assert "account gone" in doctor.stdout
