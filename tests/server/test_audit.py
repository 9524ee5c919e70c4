"""The audit: every verb, by whom, from where, and what came of it."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys

import httpx

from engine import events as log
from engine.audit import REFUSALS, summary
from engine.engine import Engine
from engine.model import JobSpec, Order, Verb, Wanted
from engine.model.access import Role
from engine.server.app import make_app
from engine.server.caller import Caller, Door
from engine.store import Transaction, audit
from tests.conftest import Served, settings_file


def test_what_a_call_was_given_is_told_in_a_line() -> None:
    assert summary(Order(verb=Verb.HOLD, jobs=[1, 2])) == "verb=hold jobs=1,2"
    assert summary(Order(verb=Verb.CANCEL, jobs=list(range(99)))) == "verb=cancel jobs=(99 of them)"
    told = summary(Wanted([JobSpec(prompt="line one\nline two " + "x" * 999, agent="shell")]))
    assert told.startswith("jobs=(prompt=line one line two xxx") and told.endswith("… agent=shell)")
    assert summary(Wanted([JobSpec(prompt="a"), JobSpec(prompt="b")])) == "jobs=(2 of them)"
    assert summary(None) == ""


async def test_a_verb_is_told_with_who_and_from_where(served: Served) -> None:
    settings_file(served.home, "max_running: 2\ngrace: 1\n")
    served.start()
    assert served.headway("hold", "--all").returncode == 0
    assert served.headway("submit", "--agent", "shell", "true").returncode == 0
    assert served.headway("hold", "7").returncode == 4
    assert served.headway("cancel", "1", "--dry-run").returncode == 0
    assert served.headway("jobs").returncode == 0
    # Really started: the kernel is asked for its environment.
    own = {**os.environ, "SSH_CONNECTION": "192.0.2.7 4000 192.0.2.1 22", "HEADWAY_JOB": "12"}
    command = [sys.executable, "-m", "console.cli", "--home", str(served.home), "cancel", "1"]
    assert subprocess.run(command, env=own, capture_output=True).returncode == 0
    found = served.json("audit")
    assert isinstance(found, list)
    name = pwd.getpwuid(os.geteuid()).pw_name
    assert {(one["who"], one["role"]) for one in found} == {(name, "owner")}
    assert [(one["what"].split(" ", 2)[:2], one["status"], one["said"]) for one in found] == [
        (["POST", "/v1/actions"], 200, "action 1"),
        (["POST", "/v1/jobs"], 201, "J1"),
        (["POST", "/v1/actions"], 404, found[2]["said"]),
        (["POST", "/v1/actions"], 200, "action 2"),
    ]
    assert found[0]["what"].endswith(" verb=hold scope=all") and "no such job: 7" in found[2]["said"]
    assert (found[0]["door"], found[0]["address"][:4], found[0]["job"]) == ("unix", "pid ", None)
    assert (found[3]["door"], found[3]["address"], found[3]["job"]) == ("ssh", "192.0.2.7", 12)
    assert served.json("audit", "--who", "nobody") == []
    assert served.json("audit", "--since", "0") == []
    assert "verb=hold scope=all" in served.headway("audit", "--limit", "9").stdout


async def test_refusals_are_told_until_they_are_too_many(engine: Engine) -> None:
    app = make_app(engine)
    caller = Caller("ci", Role.VIEWER, Door.TCP, "192.0.2.7")

    async def door(scope: dict[str, object], receive: object, send: object) -> None:
        await app({**scope, "state": {"caller": caller}}, receive, send)  # type: ignore[arg-type]

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=door), base_url="http://headway") as http:  # type: ignore[arg-type]
        for _ in range(REFUSALS + 20):
            assert (await http.post("/v1/undo")).status_code == 403
        caller = Caller("other", Role.VIEWER, Door.TCP, "192.0.2.7")
        assert (await http.post("/v1/undo")).status_code == 403
    found = await engine.audit.lines(0, None, 1_000)
    # One a second or two may have been written besides, while they came.
    of_first = [one for one in found if one.who == "ci"]
    assert REFUSALS <= len(of_first) < REFUSALS + 20
    assert {(one.status, one.what, one.address) for one in found} == {(403, "POST /v1/undo", "192.0.2.7")}
    bodies = [event.body for event in await engine.store.read.events(0)]
    told = [one for one in bodies if isinstance(one, log.Audited)]
    assert sum(1 + one.more for one in told) == REFUSALS + 21 and told[-1].who == "other"


async def test_what_agents_call_is_told_too(engine: Engine) -> None:
    await engine.store.write(
        lambda tx: tx.log(log.ToolCalled("submit_job", "a1", True, "write tests"), job=4, attempt=9)
    )
    await engine.store.write(lambda tx: tx.log(log.ToolCalled("recall", "a2", False, "too many"), job=4, attempt=9))
    found = await engine.audit.lines(0, "J4", 10)
    assert [(one.door, one.role, one.what, one.status, one.said, one.job) for one in found] == [
        ("mcp", "job", "submit_job", 200, "write tests", 4),
        ("mcp", "job", "recall", 409, "too many", 4),
    ]


async def test_the_audit_is_read_by_its_own_index(engine: Engine) -> None:
    def plan(tx: Transaction) -> list[str]:
        return [row[3] for row in tx.connection.execute(f"EXPLAIN QUERY PLAN {audit._LINES}", (0,))]

    assert await engine.store.look(plan) == ["SEARCH events USING INDEX events_of_audit (at>?)"]


async def test_no_secret_is_told(engine: Engine) -> None:
    engine.secrets.learn(["hunter2hunter2"])
    transport = httpx.ASGITransport(app=make_app(engine))
    async with httpx.AsyncClient(transport=transport, base_url="http://headway") as http:
        made = await http.post("/v1/tokens", json={"name": "ci"})
        await http.post("/v1/jobs", json={"jobs": [{"prompt": "say hunter2hunter2", "agent": "shell", "depends": []}]})
        await http.post("/v1/jobs", json={"jobs": [{"prompt": "say hunter2hunter2", "agent": "shell"}]})
    secret = made.json()["secret"]
    found = await engine.audit.lines(0, None, 10)
    assert [one.status for one in found] == [201, 400, 400]
    assert "prompt=say [key]" in found[2].what
    assert not [one for one in found if secret in one.what + one.said or "hunter2" in one.what + one.said]
