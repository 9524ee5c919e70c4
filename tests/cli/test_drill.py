"""`headway drill day`: the table, the figures as JSON, and an exit code that tells whether promises were kept."""

from __future__ import annotations

import json
import os
import subprocess

from tests.conftest import PATIENCE
from tests.forked import forks


def drill(*words: str) -> subprocess.CompletedProcess[str]:
    return forks().run(["drill", "day", *words], timeout=PATIENCE, env=os.environ)


def test_the_policies_stand_beside_each_other() -> None:
    told = drill("--jobs", "40", "--policy", "retry", "--policy", "oracle")
    assert told.returncode == 0, "only the engine has promised anything"
    rows = {line[:27].strip(): line[27:].split() for line in told.stdout.splitlines() if line}
    assert rows["jobs done"][1] == "40"
    assert int(rows["jobs done"][0]) + int(rows["jobs given up"][0]) == 40
    assert rows["strays"][1] == "0"
    assert told.stdout.startswith("weather: 40 jobs on 4 accounts, seed 1\n")


def test_the_figures_are_there_as_json() -> None:
    (report,) = json.loads(drill("--jobs", "30", "--seed", "5", "--policy", "fallback", "--json").stdout)
    assert (report["policy"], report["jobs"]) == ("fallback", 30)
    assert report["done"] + report["failed"] + report["lost"] == 30


def test_what_is_not_there_is_said() -> None:
    assert "no policy 'prayer': there are headway, retry, fallback, oracle" in drill("--policy", "prayer").stderr
    assert "no day 'rain': there are weather" in drill("rain").stderr
