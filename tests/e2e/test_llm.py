"""Model calls as jobs: the real client libraries against a service on loopback, through a served engine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine import events as log
from engine.model import JobSpec, State
from engine.server.client import Client
from engine.window import Standing
from tests.agents.llm.asking import KEY
from tests.agents.llm.service import OUTPUT, Step, service
from tests.conftest import PATIENCE, Served, settings_file

LIMITED = Step(
    status=429,
    body={"error": {"message": "Too fast.", "type": "requests", "code": "rate_limit_exceeded"}},
    headers={"retry-after-ms": "300", "x-ratelimit-limit-requests": "5", "x-ratelimit-remaining-requests": "0"},
)
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def _home(served: Served, url: str) -> None:
    settings_file(
        served.home,
        f"""\
grace: 5
agents:
  llm:
    model: local/qwen3:8b
    providers:
      local: {{base_url: "{url}/v1", key: {{env: LOCAL_KEY}}}}
accounts:
  research: {{agent: llm, provider: anthropic, key: {{env: LOCAL_KEY}}}}
""",
    )
    served.env["LOCAL_KEY"] = KEY


def _is(kind: type[log.Body], job: int) -> Callable[[log.Event], bool]:
    return lambda event: event.job == job and isinstance(event.body, kind)


async def test_a_call_waits_for_its_limit_and_is_answered(served: Served, repository: Path) -> None:
    with service(LIMITED, Step("Here you are.\n" * 1_000)) as one:
        _home(served, one.url)
        served.start()
        async with Client(served.home) as client:
            (job,) = await client.submit([JobSpec(prompt="tell me", agent="llm", project=str(repository))])
            await served.until(_is(log.Requeued, job))
            await served.until_ended([job])
            detail = await client.job(job)
            limits = await client.limits()
            events = await client.events(job=job, limit=100)
    assert detail.job.state is State.SUCCEEDED
    first, second = detail.attempts
    assert first.failure == "rate_limited"
    assert (second.usage[0].output_tokens, second.unknown_lines) == (OUTPUT, 0)
    (requeued,) = [event for event in events if isinstance(event.body, log.Requeued)]
    assert isinstance(requeued.body, log.Requeued)
    assert (requeued.body.not_before or 0) > requeued.at - 1_000, "the end that the provider named"
    assert not requeued.body.counted, "a limit uses up no attempt"
    (window,) = limits
    assert (window.account, window.window, window.model) == ("llm", "requests", "local/qwen3:8b")
    assert (window.standing, window.probing) == (Standing.UNKNOWN, 2), "its end is over, and one has been served since"
    assert {attempt.branch for attempt in detail.attempts} == {None}, "a question needs no worktree"
    whole = served.headway("logs", "--answer", str(job))
    assert whole.stdout == "Here you are.\n" * 1_000
    shown = served.headway("show", str(job)).stdout
    assert "answer.txt, 14,000 bytes" in shown
    assert "Here you are." in served.headway("logs", str(job)).stdout


async def test_an_answer_that_is_not_as_the_schema_says_is_asked_for_again(served: Served, tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    with service(Step('{"n": "many"}'), Step('{"n": 7}')) as one:
        _home(served, one.url)
        served.start()
        arguments = ("--agent", "llm", "--scratch", "--system", "Count.", "--schema", str(tmp_path / "schema.json"))
        done = served.headway("submit", "how many?", *arguments)
        assert done.returncode == 0, done.stderr
        job = int(done.stdout)
        await served.until_ended([job])
    shown: Any = served.json("show", str(job))
    assert [attempt["failure"] for attempt in shown["attempts"]] == ["bad_output", None]
    assert served.headway("logs", "--answer", str(job)).stdout == '{"n": 7}'
    assert one.seen[0][2]["messages"][0] == {"role": "system", "content": "Count."}


async def test_it_outlives_the_engine_and_is_not_asked_twice(served: Served) -> None:
    """The engine is killed in the middle of an answer; the next one finds the call and takes its answer."""
    with service(Step("Some of this comes late.", instead="wait")) as one:
        _home(served, one.url)
        served.start()
        async with Client(served.home) as client:
            (job,) = await client.submit([JobSpec(prompt="tell me", agent="llm")])
            await served.until(_is(log.Launched, job))
        await asyncio.to_thread(one.asked.wait, PATIENCE)
        served.kill()
        served.start()
        one.gate.set()
        await served.until_ended([job])
        async with Client(served.home) as client:
            detail = await client.job(job)
    (attempt,) = detail.attempts
    assert attempt.result == "Some of this comes late."
    assert len(one.seen) == 1


async def test_one_that_is_killed_is_simply_asked_again(served: Served) -> None:
    """It has no effects: nobody has to look at what it may have done."""
    with service(Step("Some of this, and then", instead="hang"), Step("Here.")) as one:
        _home(served, one.url)
        served.start()
        async with Client(served.home) as client:
            (job,) = await client.submit([JobSpec(prompt="tell me", agent="llm")])
            await served.until(_is(log.Launched, job))
            pid = (await client.job(job)).attempts[0].pid
            assert pid is not None
            await asyncio.to_thread(one.asked.wait, PATIENCE)
            os.killpg(pid, signal.SIGKILL)
            await served.until_ended([job])
            detail = await client.job(job)
    assert [attempt.failure for attempt in detail.attempts] == ["crashed", None]
    assert detail.job.state is State.SUCCEEDED


def test_what_cannot_be_asked_is_refused_before_it_is_a_job(served: Served) -> None:
    _home(served, "http://127.0.0.1:1")
    served.start()
    for arguments, said in (
        (("--agent", "llm", "--model", "gpt-5"), "write PROVIDER/MODEL"),
        (("--agent", "llm", "--model", "lokal/x"), "did you mean 'local'"),
        (("--agent", "shell", "--system", "Count."), "shell takes no system"),
        (("--agent", "llm", "--account", "research"), "the account's key is one of anthropic"),
    ):
        done = served.headway("submit", "tell me", "--scratch", *arguments)
        assert done.returncode == 2
        assert said in done.stderr
