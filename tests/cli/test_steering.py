"""What the verbs say and how they exit: true, in one line, with the right example beside a mistake."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from console.said import result_line, undone_line
from engine import events as log
from engine.model import ActionResult, State, Undone, Verb
from tests.conftest import PATIENCE, Served, settings_file

WAITING = "max_running: 0\n"


def submit(served: Served, *commands: str) -> None:
    text = "".join(f"- {{prompt: {command!r}, agent: shell}}\n" for command in commands)
    done = served.headway("submit", "--scratch", "-f", "-", stdin=text)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("priority", "3"), "such as: headway priority 1 12"),
        (("move", "first"), "such as: headway move first 12"),
        (("snooze", "2h"), "such as: headway snooze 2h 12"),
        (("snooze", "12", "2h"), "the time comes first: headway snooze 2h 12"),
        (("reroute", "--to", "shell"), "such as: headway reroute 12 --to claude:opus"),
        (("cancel",), "such as: headway cancel 12"),
        (("edit", "12"), "there is no terminal for an editor: headway edit 12 PROMPT"),
    ],
)
def test_a_mistake_is_told_with_the_command_as_it_is_written(home: Path, arguments: tuple[str, ...], said: str) -> None:
    done = Served(home).headway(*arguments)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert said in done.stderr


@pytest.mark.parametrize("command", ["jobs", "hold", "cap", "events", "skills", "export", "edit", "backup"])
def test_the_usage_line_marks_what_may_be_left_out_once(home: Path, command: str) -> None:
    usage = Served(home).headway(command, "--help").stdout.split("\n\n")[0]
    assert "[[" not in usage
    assert "..." not in usage.replace("]...", "")


async def test_a_cancel_waits_and_says_what_became_of_it(served: Served, tmp_path: Path) -> None:
    """One that has come to its end by itself in the meantime was not cancelled; an exit code alone is no such end."""
    settings_file(served.home, "grace: 60\n")
    served.start()
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    submit(served, f"trap 'read line <{gate}; exit 0' TERM; : >{gate}.up; while :; do sleep 1; done")
    working = tmp_path / "working"
    played = tmp_path / "deaf.yaml"
    steps = [{"do": "run", "command": f": >{working}; sleep 600"}, {"do": "say", "text": "done"}]
    played.write_text(json.dumps({"about": "test", "deaf": True, "steps": steps}))
    done = served.headway("submit", "--scratch", "--agent", "rehearsal", "--model", str(played), "go on")
    assert done.returncode == 0, done.stderr
    submit(served, "true")
    await served.until(lambda event: event.job == 3 and isinstance(event.body, log.Succeeded))
    await there(Path(f"{gate}.up"))
    await there(working)
    waiting = start([sys.executable, "-m", "console.cli", "--home", str(served.home), "cancel", "1-3"])
    assert waiting.stderr is not None
    asked = waiting.stderr.readline()
    assert asked == "stopping 2 jobs: asked to end, and killed after the grace; ^C does not wait for it\n"
    gate.write_text("go\n")
    out, _ = waiting.communicate(timeout=PATIENCE)
    said = "cancelled J1; left J3: already succeeded; left J2: succeeded before it could be stopped\n"
    assert (waiting.returncode, out) == (0, said)


async def test_a_cancel_that_is_not_waited_for_says_so(served: Served, tmp_path: Path) -> None:
    settings_file(served.home, "grace: 60\n")
    served.start()
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    submit(served, f"trap 'read line <{gate}; exit 0' TERM; : >{gate}.up; while :; do sleep 1; done")
    await there(Path(f"{gate}.up"))
    assert served.headway("cancel", "1", "--no-wait").stdout == "stopping J1\n"
    assert "stopping" in served.headway("show", "1").stdout
    waiting = start([sys.executable, "-m", "console.cli", "--home", str(served.home), "cancel", "1"])
    assert waiting.stderr is not None
    waiting.stderr.readline()
    waiting.send_signal(signal.SIGINT)
    out, said = waiting.communicate(timeout=PATIENCE)
    assert (waiting.returncode, out, said) == (130, "", "not waited for: the engine goes on stopping what runs\n")
    gate.write_text("go\n")
    await served.until_ended([1])


def test_the_help_says_what_is_true(home: Path) -> None:
    one = Served(home)
    assert "Exit codes: 0 done, 1 failed, 2 usage, 3 no engine, 4 not found, 5 refused." in one.headway("--help").stdout
    for command in ("jobs", "export", "hold", "events"):
        text = one.headway(command, "--help").stdout
        assert " age:<" not in text, "a shell would read from a file of that name"
        assert " age:>" not in text
    states = " ".join(one.headway("jobs", "--help").stdout.split())
    assert all(state in states for state in State)


def test_an_ended_job_has_no_deadline_to_fear(served: Served) -> None:
    served.start()
    done = served.headway("submit", "--agent", "shell", "--scratch", "--deadline", "1h", "true")
    served.headway("logs", "-f", done.stdout.strip())
    assert "it fails then" not in served.headway("explain", "1").stdout
    assert served.headway("events", "9").stderr == "nothing is in the log of J9\n"


async def there(path: Path) -> None:
    async with asyncio.timeout(PATIENCE):
        while not path.exists():
            await asyncio.sleep(0.02)


def start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # Where the tests run in the background of a shell, all that they start would ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def test_no_job_that_matches_is_not_found(served: Served) -> None:
    settings_file(served.home, WAITING)
    served.start()
    done = served.headway("retry", "state:failed")
    assert (done.returncode, done.stdout, done.stderr) == (4, "", "no job matches state:failed\n")
    again = served.headway("retry", "state:failed", "--json")
    assert again.returncode == 4
    assert '"done": []' in again.stdout


def test_a_list_that_is_cut_says_so(served: Served) -> None:
    settings_file(served.home, WAITING)
    served.start()
    submit(served, "a", "b", "c")
    cut = served.headway("jobs", "--limit", "2")
    assert cut.stderr == "these are the first 2; --limit shows more, a filter others\n"
    assert len(cut.stdout.splitlines()) == 3
    assert served.headway("jobs", "--limit", "4").stderr == ""


def test_every_time_names_its_zone(served: Served) -> None:
    settings_file(served.home, WAITING)
    served.env = {"TZ": "Asia/Tokyo"}
    served.start()
    submit(served, "a")
    served.headway("snooze", "2h", "1")
    for command in (("explain", "1"), ("show", "1"), ("events",), ("undo", "--list")):
        said: Any = served.headway(*command).stdout
        times = [line for line in said.splitlines() if " 20" in line and ":" in line]
        assert times
        assert all(" JST" in line for line in times if "not before" not in line), said
    assert served.headway("cap", "all", "1", "--dry-run").stdout.splitlines()[0] == "would set the cap on all to 1"
    assert "" not in served.headway("cap", "tag:x", "1", "--dry-run").stdout.splitlines()


def test_what_would_be_is_not_told_as_done() -> None:
    result = ActionResult(verb=Verb.CANCEL, done=[1, 2], stopping=[3], skipped={"already held": [4]}, dry_run=True)
    assert result_line(result) == "would cancel 2 jobs, would stop J3; would leave J4: already held"
    assert result_line(ActionResult(verb=Verb.RETRY, done=[1], dry_run=True)) == "would put back J1"
    for verb in Verb:
        assert result_line(ActionResult(verb=verb, done=[1], dry_run=True)).startswith("would ")
        assert result_line(ActionResult(verb=verb, done=[1])).endswith(" J1")


def test_what_cannot_be_taken_back_is_not_told_as_taken_back() -> None:
    lost = Undone(action=7, verb="cancel", at=0, lost={"it was pruned": [3]})
    assert undone_line(lost) == "cannot take back cancel (action 7): J3 cannot come back: it was pruned"
    some = Undone(action=7, verb="cancel", at=0, restored=[4], lost={"it was pruned": [3]}, dry_run=True)
    assert undone_line(some) == ("would take back cancel (action 7): J4 as before; J3 cannot come back: it was pruned")
