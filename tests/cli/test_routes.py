"""Routes on the command line, over a real engine: listed, explained, named at a submission, chosen by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine import events as log
from tests.conftest import Served, settings_file

LIMITED = [{"do": "say", "text": "on it"}, {"do": "fail", "kind": "usage_limit", "resets_in": 7_200}]
DONE = [{"do": "say", "text": "finished"}]


@pytest.fixture
def routed(served: Served, tmp_path: Path) -> Served:
    """A served home with a route whose first target has met its limit once a job has run on it."""
    targets = []
    for name, steps in (("bad", LIMITED), ("good", DONE)):
        path = tmp_path / f"{name}.yaml"
        path.write_text(json.dumps({"about": name, "steps": steps}))
        targets.append(f"rehearsal:{path}")
    said = {
        "grace": 1,
        "accounts": {"spare": {"agent": "rehearsal"}},
        "routes": {
            "careful": {
                "match": {"tag": "security"},
                "targets": [targets[0], {"target": f"{targets[1]}@spare", "cost": 0.5}],
                "limit": "reroute",
            },
            "asks": {"targets": [targets[0], f"{targets[1]}@spare"], "limit": "ask"},
            "stays": {"targets": [targets[0], f"{targets[1]}@spare"]},
        },
    }
    settings_file(served.home, yaml.safe_dump(said, sort_keys=False))
    served.start()
    return served


async def test_a_route_is_taken_moved_along_and_told_everywhere(routed: Served) -> None:
    done = routed.headway("submit", "--scratch", "--tag", "security", "mend it")
    assert done.stdout == "1\n", done.stderr
    await routed.until_ended([1])
    shown = routed.headway("show", "1").stdout
    assert "route     careful" in shown
    assert "moved     rehearsal:" in shown
    assert "(limit, resets " in shown
    assert "it takes the route careful" in routed.headway("explain", "1").stdout
    assert "rerouted" in routed.headway("events", "1").stdout
    listed = routed.headway("routes").stdout
    for words in ("careful", "matches   tag security", "limit reroute", "closed", "$0.50~", "1 move within a day"):
        assert words in listed
    told: Any = routed.json("routes", "1")
    assert (told["route"], told["why"], len(told["moves"])) == ("careful", ["it matches careful: tag security"], 1)
    found: Any = routed.json("jobs", "route:careful")
    assert [job["id"] for job in found] == [1]


async def test_which_route_a_job_would_take_and_why_not_another(routed: Served) -> None:
    told = routed.headway("routes", "--explain", "tidy", "--tag", "docs").stdout
    assert "route     none" in told
    assert "because it does not match careful: its tag is docs, and not security" in told
    named = routed.headway("routes", "--explain", "tidy", "--route", "stays").stdout
    assert "because it names it" in named
    assert "on limit     wait" in named
    assert routed.headway("routes", "--explain", "x", "--route", "carefull").stderr == (
        "headway: there is no route 'carefull'; did you mean 'careful'?\n"
    )
    wrong = routed.headway("submit", "--scratch", "--route", "stay", "x")
    assert wrong.returncode == 2
    assert "route: there is no route 'stay'; did you mean 'stays'?" in wrong.stderr


async def test_the_operator_sees_where_a_job_may_go_and_sends_it_there(routed: Served) -> None:
    routed.headway("hold", "--all")
    routed.headway("submit", "--scratch", "--route", "stays", "mend it")
    choices = routed.headway("reroute", "1", "--choices").stdout
    assert "* rehearsal:" in choices
    assert choices == routed.headway("reroute", "1", "--dry-run").stdout
    assert routed.headway("reroute", "1").returncode == 2
    done = routed.headway("reroute", "1", "--to-next")
    assert done.returncode == 0, done.stderr
    assert "@spare (by operator)" in routed.headway("show", "1").stdout
    assert routed.headway("undo").returncode == 0
    job: Any = routed.json("show", "1")
    assert job["job"]["account"] is None
    assert [move["by"] for move in job["moves"]] == ["operator", "undo by operator"]


async def test_a_card_of_a_route_is_shown_and_answered_like_any_other(routed: Served) -> None:
    routed.headway("submit", "--scratch", "--route", "asks", "mend it")
    await routed.until(lambda event: isinstance(event.body, log.Asked))
    assert "wait in" in routed.headway("inbox").stdout
    shown = routed.headway("inbox", "1").stdout
    for words in ("card 1  route", "choices   reroute, wait, stop", "@spare: unknown; its cost is not known"):
        assert words in shown
    assert "`headway answer 1 reroute` or `stop` ends it" in routed.headway("explain", "1").stdout
    wrong = routed.headway("answer", "1", "allow")
    assert (wrong.returncode, wrong.stderr) == (
        2, "headway: a route cannot be answered with allow; choose reroute, wait, stop\n",
    )  # fmt: skip
    assert "is no target of the route" in routed.headway("answer", "1", "reroute", "-r", "codex").stderr
    assert routed.headway("answer", "1", "reroute", "--dry-run").stdout.startswith("would: rerouted: J1 to rehearsal:")
    assert routed.headway("answer", "1", "reroute").returncode == 0
    await routed.until_ended([1])
    assert "chosen by operator)" in routed.headway("show", "1").stdout
