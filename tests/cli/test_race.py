"""`headway race` over a real engine: begun, shown, picked, taken back; rehearsal agents, a real repository, no keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine import events as log
from engine.model import RACE_ENDED
from engine.rehearsal.fleet import make_project
from tests.conftest import Served, settings_file

TESTS = "python3 -B -m unittest -q"
RUNNERS = ("rehearsal:claude/fix-bug", "rehearsal:codex/fix-bug", "rehearsal:gemini/write-docs")


async def decided(served: Served, after: int = 0) -> None:
    await served.until(
        lambda event: isinstance(event.body, log.RaceMoved) and event.body.state in RACE_ENDED, after=after
    )


async def test_rehearsals_race_to_a_verdict(served: Served, tmp_path: Path) -> None:
    settings_file(served.home, "grace: 1\n")
    served.env["HEADWAY_REHEARSAL_SPEED"] = "0"
    project = tmp_path / "tally"
    make_project(project)
    served.start()
    on = [word for name in RUNNERS for word in ("--on", name)]
    asked = ("race", "fix the ledger", *on, "--check", TESTS, "--kind", "fix", "-p", str(project))
    would = served.headway(*asked, "--dry-run").stdout
    assert would.startswith(f"would: {', '.join(RUNNERS)} from ")
    done = served.headway(*asked, "--judge", "rehearsal:judge")
    assert done.stdout == "1\n", done.stderr
    await decided(served)
    shown = served.headway("race", "show", "1").stdout
    assert "  state    decided" in shown
    assert f"J3  {TESTS}: exit 1" in shown and "FAILED (failures=1)" in shown
    race: Any = served.json("race", "show", "1")
    first, second, third = race["entries"]
    assert race["decided_by"] == "rehearsal:judge"
    assert race["winner"] == min((first, second), key=lambda one: one["lot"])["job"]
    assert (third["fit"], third["note"]) == (False, f"{TESTS}: exit 1")
    assert f"J{race['winner']} won, by rehearsal:judge on the branch headway/{race['winner']}-fix-the-ledger" in shown
    assert f"headway diff {race['winner']} | git apply --index" in shown
    other = 3 - race["winner"]
    picked = served.headway("race", "pick", "1", f"J{other}")
    branch = f"headway/{other}-fix-the-ledger"
    assert picked.stdout == f"J{other} wins race 1, and not J{race['winner']}; its branch is {branch}\n"
    assert "race 1 is decided again" in served.headway("undo").stdout
    listed = served.headway("race", "list").stdout.splitlines()
    assert len(listed) == 2 and "fix the ledger" in listed[1]
    board: Any = served.json("scoreboard", "--kind", "fix")
    assert sum(line["wins"] for line in board["lines"]) == 1
    assert {line["races"] for line in board["lines"]} == {1}
    assert {line["target"]: line["first"]["count"] for line in board["lines"]} == {
        "rehearsal:claude/fix-bug": 1, "rehearsal:codex/fix-bug": 1, "rehearsal:gemini/write-docs": 0,
    }  # fmt: skip
    assert "best" not in served.headway("compare", "rehearsal:claude/fix-bug", "rehearsal:gemini/write-docs").stdout


def test_what_is_no_race_is_told_in_a_line(served: Served) -> None:
    served.start()
    for words, code, says in (
        (("race", "fix it"), 2, "on whom?"),
        (("race", "fix", "it", "--on", "shell", "--on", "shell"), 2, "quote it: headway race 'fix it'"),
        (("race", "show"), 2, "headway race show N"),
        (("race", "show", "x"), 2, "'x' is no race's number"),
        (("race", "show", "7"), 4, "there is no race 7"),
        (("race", "pick", "7", "1"), 4, "there is no race 7"),
        (("race", "x", "--on", "shell", "--on", "shell", "--scratch", "-p", "y"), 2, "--scratch excludes --project"),
        (("scoreboard", "--by", "model", "--since", "soon"), 2, "no span of time"),
        (("compare", "shell"), 2, "two targets"),
    ):
        done = served.headway(*words)
        assert (done.returncode, says in done.stderr) == (code, True), done.stderr
