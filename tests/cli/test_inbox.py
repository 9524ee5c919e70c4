"""The inbox on the command line, over a real engine: listing, answering, rules, and what is said of mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine import events as log
from engine.home import SOCKET
from engine.model import State
from engine.server.client import Client
from tests.conftest import Served, settings_file

STEPS = [
    {"do": "say", "text": "I will push."},
    {"do": "run", "command": "echo one >one.txt", "ask": True},
    {"do": "run", "command": "echo two >two.txt", "ask": True},
    {"do": "say", "text": "finished"},
]


@pytest.fixture
async def asking(served: Served, tmp_path: Path) -> Served:
    """A served home with one job whose agent asks for its first command."""
    settings_file(served.home, "grace: 1\npermissions: {rules: [{tool: WebFetch, effect: deny}]}\n")
    served.env["HEADWAY_REHEARSAL_SPEED"] = "0"
    model = tmp_path / "asks.yaml"
    model.write_text(json.dumps({"about": "asks", "steps": STEPS}))
    served.start()
    done = served.headway(
        "submit", "--agent", "rehearsal", "--model", str(model), "--scratch", "--permission", "ask", "push it"
    )
    assert done.returncode == 0, done.stderr
    await served.until(lambda event: isinstance(event.body, log.Asked))
    return served


async def test_a_card_is_listed_shown_answered_and_its_rule_taken_back(asking: Served) -> None:
    listed = asking.headway("inbox").stdout
    assert "deny in" in listed and "echo one >one.txt" in listed
    shown = asking.headway("inbox", "1").stdout
    for words in ("card 1  permission", "why       I will push.", "choices   allow, job, rule, deny", '"command"'):
        assert words in shown
    assert "asks you" in asking.headway("jobs").stdout
    assert "waits for card 1: Bash echo one" in asking.headway("explain", "1").stdout
    would = asking.headway("answer", "1", "rule", "--rule", "echo * >*.txt", "--dry-run").stdout
    assert would.startswith("would: allowed by a rule: J1 Bash echo one >one.txt; rule 1: allow Bash")
    assert len(asking.json("inbox")) == 1  # type: ignore[arg-type]
    done = asking.headway("answer", "1", "rule", "--rule", "echo * >*.txt", "--everywhere")
    assert "in every project" in done.stdout, done.stderr
    await asking.until_ended([1])
    shown_job: Any = asking.json("show", "1")
    assert shown_job["job"]["state"] == State.SUCCEEDED
    assert asking.headway("inbox").stderr == "nothing waits for you\n"
    every: Any = asking.json("inbox", "--all")
    assert [(card["choice"], card["by"]) for card in every] == [("allow", "rule 1"), ("rule", "operator")]
    kept: Any = asking.json("rules")
    assert [(rule["tool"], rule.get("uses", 0)) for rule in kept] == [("Bash", 1), ("WebFetch", 0)]
    assert "holds no more: allow Bash" in asking.headway("rules", "--remove", "1").stdout
    assert "rule 1 holds again" in asking.headway("undo").stdout
    undone = asking.headway("undo").stdout
    assert "rule 1 holds no more; J1 cannot come back: its agent has the answer already" in undone


async def test_a_card_is_put_aside_and_shows_what_each_answer_would_do(asking: Served) -> None:
    shown = asking.headway("inbox", "1").stdout
    for words in ("what follows", "allow  its agent goes on: it does what", "deny   its agent goes on: it is"):
        assert words in shown
    assert "put aside until" in asking.headway("inbox", "snooze", "1", "2h", "--dry-run").stdout
    assert len(asking.json("inbox")) == 1  # type: ignore[arg-type]
    assert asking.headway("inbox", "snooze", "1", "2h").stdout.startswith("put aside until")
    assert asking.headway("inbox").stderr == "nothing waits for you\n"
    assert "back in" in asking.headway("inbox", "--snoozed").stdout
    assert "card 1 waits for you again" in asking.headway("undo").stdout
    for words, said in (
        (("snooze", "1"), "the time comes last"),
        (("snooze", "1", "soon"), "'soon' is no time"),
        (("back",), "say which card"),
        (("snoze", "1"), "inbox shows one card at a time"),
    ):
        done = asking.headway("inbox", *words)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert said in done.stderr
    assert "allowed once" in asking.headway("answer", "1", "allow").stdout


async def test_rules_are_added_shown_and_taken_back(asking: Served) -> None:
    would = asking.headway("rules", "add", "Bash", "echo * >*.txt", "--expires", "7d", "--dry-run").stdout
    assert would.startswith("would hold: allow Bash `echo * >*.txt` in every project, until 20")
    added = asking.headway("rules", "add", "Bash", "echo * >*.txt", "--expires", "7d")
    assert added.stdout.startswith("rule 1 holds: allow Bash"), added.stderr
    await asking.until_ended([1])
    shown = asking.headway("rules", "show", "1").stdout
    assert "used 2 times" in shown and "card 1  J1  echo one >one.txt" in shown
    assert "in 6d23" in asking.headway("rules").stdout
    assert "no answers were alike often enough" in asking.headway("rules", "propose").stderr
    for words, code, said in (
        (("ad", "x"), 2, "did you mean 'add'?"),
        (("accept", "P7"), 4, "no open proposal 7"),
        (("add", "Bash", "ls", "--expires", "soon"), 2, "no span of time"),
        (("add", "Bash", "ls", "--project", "nowhere"), 2, "nowhere"),
        (("show", "9"), 4, "no rule 9"),
    ):
        done = asking.headway("rules", *words)
        assert (done.returncode, done.stdout) == (code, ""), words
        assert said in done.stderr, words
    assert "holds no more: allow Bash" in asking.headway("rules", "remove", "1").stdout
    assert "rule 1 holds again" in asking.headway("undo").stdout


async def test_mistakes_are_one_line_and_have_their_exit_code(asking: Served) -> None:
    for arguments, code, said in (
        (("answer", "9", "allow"), 4, "there is no card 9"),
        (("answer", "1", "alow"), 2, "did you mean 'allow'?"),
        (("answer", "x", "allow"), 2, "'x' is no card's number"),
        (("answer", "1", "answer", "--reason", "y"), 2, "choose allow, job, rule, deny"),
        (("answer", "1", "rule", "--rule", "ls *"), 2, "does not match what is asked"),
        (("rules", "--remove", "7"), 4, "no rule 7"),
        (("rules", "--remove", "0"), 2, "changed there"),
        (("submit", "--permission", "aks", "x"), 2, "did you mean 'ask'?"),
        (("submit", "--permission", "bypass", "--agent", "claude", "--scratch", "x"), 2, "allow_bypass: true"),
    ):
        done = asking.headway(*arguments)
        assert (done.returncode, done.stdout) == (code, ""), arguments
        assert said in done.stderr and done.stderr.count("\n") == 1
    assert asking.headway("answer", "1", "deny", "-r", "no").returncode == 0
    assert asking.headway("answer", "1", "allow").returncode == 5


async def test_a_card_is_answered_over_http(asking: Served) -> None:
    transport = httpx.AsyncHTTPTransport(uds=str(asking.home / SOCKET))
    async with httpx.AsyncClient(transport=transport, base_url="http://headway") as http:
        (card,) = (await http.get("/v1/decisions")).json()
        assert (await http.get(f"/v1/decisions/{card['id']}")).json() == card
        wrong = await http.post("/v1/decisions/1", json={"choice": "allow", "why": "x"})
        assert (wrong.status_code, wrong.json()["error"]) == (400, "usage")
        assert (await http.get("/v1/decisions/x")).status_code == 404
        said = (await http.post("/v1/decisions/1", json={"choice": "job"})).json()
        assert (said["card"]["choice"], said["rule"]["job"]) == ("job", 1)
        assert (await http.post("/v1/decisions/1", json={"choice": "deny"})).status_code == 409
        await asking.until_ended([1])
        assert len((await http.get("/v1/decisions?limit=1")).json()) == 1
        assert (await http.delete("/v1/rules/1")).json()["id"] == 1
    async with Client(asking.home) as client:
        assert (await client.status()).cards == 0
