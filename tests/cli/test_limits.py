"""`headway limits` and `explain` on a served home whose agent has met its limit."""

from __future__ import annotations

from typing import Any

from tests.conftest import Served, settings_file
from tests.runner.living import rehearsal

HOUR = 3_600_000


def submit(served: Served, model: str) -> None:
    done = served.headway("submit", "--scratch", "--agent", "rehearsal", "--account", "work", "--model", model, "go")
    assert done.returncode == 0, done.stderr


async def test_it_says_how_each_window_stands_and_who_waits_and_takes_the_operators_word(served: Served) -> None:
    settings_file(served.home, "accounts: {work: {agent: rehearsal, pacing: {reserve: 20%}}}\n")
    served.start()
    assert served.headway("limits").stderr == "no agent has told of a limit yet\n"
    met = [{"do": "fail", "kind": "usage_limit", "resets_in": 7_200}]
    submit(served, rehearsal(served.home, met, met))
    await served.until(lambda event: type(event.body).__name__ == "Requeued")
    submit(served, rehearsal(served.home, [{"do": "say", "text": "done"}]))
    found: Any = served.json("limits", "rehearsal@work")
    five = next(one for one in found if one["window"] == "five_hour")
    assert (five["standing"], five["used"], five["waiting"], five["source"]) == (
        "closed",
        1.0,
        2,
        "rehearsal rate_limit_event",
    )
    assert 2 * HOUR - 60_000 < five["until"] - five["observed_at"] <= 2 * HOUR + 60_000
    heads, *rows = served.headway("limits").stdout.splitlines()
    assert heads.split() == ["ACCOUNT", "WINDOW", "STATE", "USED", "RESETS", "SAID", "BY", "SEEN", "WAIT"]
    (line,) = [row for row in rows if "five_hour" in row]
    assert line.split()[:5] == ["rehearsal@work", "five_hour", "closed", "██████████", "100%"]
    assert line.split()[-1] == "2"
    for job in ("1", "2"):
        told = served.headway("explain", job).stdout
        assert "waits     rehearsal@work: five_hour is used up (rehearsal rate_limit_event, " in told
        assert "then one attempt goes first" in told
    assert served.headway("limits", "--try").returncode == 2
    wrong = served.headway("limits", "--try", "claude")
    assert (wrong.returncode, wrong.stderr) == (
        4,
        "headway: no window of claude is closed; `headway limits` lists them\n",
    )
    tried = served.headway("limits", "--try", "rehearsal@work")
    assert (tried.returncode, "unknown, 1 at once" in tried.stdout) == (0, True), tried.stdout + tried.stderr
    closed = [0]

    def again(event: Any) -> bool:
        closed[0] += type(event.body).__name__ == "Requeued"
        return closed[0] == 2

    await served.until(again)
    after: Any = served.json("limits", "rehearsal@work")
    assert {one["standing"] for one in after if one["window"] == "five_hour"} == {"closed"}
    deep = served.headway("doctor", "--deep").stdout
    assert "2 jobs are as the log tells them\n" in deep, "and the windows too"
