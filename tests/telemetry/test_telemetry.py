"""Traces and metrics of a real engine as a real collector gets them, and what becomes of it where there is none."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.config import KeyReference, Settings, TelemetrySettings
from engine.engine import Engine
from engine.model import JobSpec, Wanted
from engine.serving import serving
from engine.telemetry.otel import Collector, Sender
from engine.telemetry.span import Name, Span
from tests.conftest import ended, shell
from tests.telemetry.receiver import Receiver, receiving, said

SECRET = "sk-ant-api03-thisisnotakeybutlookslikeone"  #: by its shape
TOKEN = "collector-token-0123456789"

STEPS = [
    {"do": "run", "pause": 10, "command": f"echo {SECRET}", "about": "look"},
    {"do": "run", "pause": 10, "command": "false", "about": "fails"},
    {"do": "say", "pause": 10, "text": "done"},
]


def _settings(endpoint: str, **more: Any) -> Settings:
    telemetry = TelemetrySettings(
        endpoint=endpoint, every="100ms", headers={"x-token": KeyReference(env="COLLECTOR_TOKEN")}, **more
    )
    return Settings(max_running=8, grace=1.0, telemetry=telemetry)


async def _submit(engine: Engine, *specs: JobSpec) -> list[int]:
    jobs = (await engine.submit(Wanted(list(specs)))).ids
    await ended(engine, jobs)
    return jobs


async def test_a_job_is_a_trace_of_attempts_runs_and_calls(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLLECTOR_TOKEN", TOKEN)
    scenario = tmp_path / "tools.yaml"
    scenario.write_text(json.dumps({"about": "tools", "steps": STEPS}))
    with receiving() as collector:
        async with serving(home, _settings(collector.endpoint)) as engine:
            agent = JobSpec(
                prompt=f"the prompt {SECRET}", title=f"use {SECRET}", agent="rehearsal", model=str(scenario)
            )
            await _submit(engine, agent, shell("exit 3", title="fails"))
            await asyncio.to_thread(collector.until, lambda: len(collector.named("job")) == 2)
            assert b"headway_telemetry_spans_dropped_total 0.0" in await engine.monitoring.metrics()
        await asyncio.to_thread(collector.until, lambda: "headway.jobs" in collector.metrics)
    _trace_of_the_agent(collector)
    _trace_of_the_command(collector)
    _figures(collector)
    assert {one["x-token"] for one in collector.headers} == {TOKEN}
    assert collector.resources[0]["service.name"] == "headway"
    everything = b"".join(collector.raw)
    assert SECRET.encode() not in everything and TOKEN.encode() not in everything
    assert b"the prompt" not in everything, "what a job was told is nobody's affair"


def _trace_of_the_agent(collector: Receiver) -> None:
    job = next(one for one in collector.named("job") if said(one.attributes)["headway.job.state"] == "succeeded")
    trace = {one.span_id: one for one in collector.spans if one.trace_id == job.trace_id}
    (run,) = [one for one in trace.values() if one.name == "invoke_agent rehearsal"]
    attempt = trace[run.parent_span_id]
    tools = [one for one in trace.values() if one.parent_span_id == run.span_id]
    assert attempt.name == "attempt" and attempt.parent_span_id == job.span_id and not job.parent_span_id
    assert job.start_time_unix_nano <= attempt.start_time_unix_nano <= run.start_time_unix_nano
    assert [one.name for one in sorted(tools, key=lambda one: one.start_time_unix_nano)] == ["execute_tool Bash"] * 2
    assert sorted(one.status.code for one in tools) == [0, 2], "one call went well, one did not"
    told = said(run.attributes)
    assert told["gen_ai.operation.name"] == "invoke_agent" and told["gen_ai.agent.name"] == "rehearsal"
    assert told["gen_ai.usage.input_tokens"] >= told["gen_ai.usage.cache_read.input_tokens"] > 0
    assert told["gen_ai.usage.output_tokens"] > 0 and told["gen_ai.conversation.id"]
    assert said(job.attributes)["headway.job.title"] == "use [key]"


def _trace_of_the_command(collector: Receiver) -> None:
    job = next(one for one in collector.named("job") if said(one.attributes)["headway.job.state"] == "failed")
    (run,) = collector.named("run command")
    assert run.trace_id == job.trace_id and job.status.code == 2 and run.status.code == 2
    told = said(run.attributes)
    assert told == {"process.exit.code": 3, "error.type": "unknown"}, "nothing of generative AI"


def _figures(collector: Receiver) -> None:
    tokens = collector.metrics["gen_ai.client.token.usage"].histogram.data_points
    assert {said(one.attributes)["gen_ai.token.type"] for one in tokens} == {"input", "output"}
    assert list(tokens[0].explicit_bounds)[:4] == [1, 4, 16, 64]
    (calls,) = collector.metrics["gen_ai.invoke_agent.tool_calls"].histogram.data_points
    assert (calls.count, calls.sum) == (1, 2)
    took = collector.metrics["gen_ai.execute_tool.duration"].histogram.data_points
    assert sum(one.count for one in took) == 2
    ends = {said(one.attributes)["headway.job.state"]: one.as_int for one in _points(collector, "headway.jobs")}
    assert ends == {"succeeded": 1, "failed": 1}
    assert _points(collector, "headway.telemetry.dropped")[0].as_int == 0


def _points(collector: Receiver, name: str) -> Any:
    return collector.metrics[name].sum.data_points


async def test_the_next_engine_goes_on_in_the_same_trace(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLECTOR_TOKEN", TOKEN)
    with receiving() as collector:
        settings = _settings(collector.endpoint, metrics=False)
        async with serving(home, settings) as engine:
            (job,) = (await engine.submit(Wanted([shell("mkfifo go; read x <go; exit 1")]))).ids
            async with asyncio.timeout(60):
                seq = engine.hub.seq
                while not (tried := await engine.store.read.attempts(job)) or tried[0].workspace is None:
                    await engine.hub.changed(seq, 1 << 62)
                    seq = engine.hub.seq
        go = Path(str(tried[0].workspace)) / "go"
        async with serving(home, settings) as engine:
            await asyncio.to_thread(go.write_text, "x\n")
            await ended(engine, [job])
            await asyncio.to_thread(collector.until, lambda: collector.named("job"))
        assert len({one.trace_id for one in collector.spans}) == 1
        assert not collector.metrics


def test_what_a_collector_does_not_take_is_dropped_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    with receiving() as collector:
        collector.status = 400  # it is not tried again
        sender = Sender(Collector(collector.endpoint, {}, 50, 64, True, False, "home"))
        for number in range(1, 1_001):
            sender.span(Span(Name(7, number), "x", 1, 2))
        assert sender.dropped >= 1_000 - 64, "no more wait than were said to"
        assert sender._traces is not None and sender._traces.force_flush()
        assert sender.dropped == 1_000
        collector.status = 200
        sender.span(Span(Name(7, 2_000), "later", 1, 2))
        collector.until(lambda: collector.named("later"))
        sender.close()
    lines = [one.getMessage() for one in caplog.records]
    assert len(lines) == 2 and "does not take spans" in lines[0] and "1000 were dropped" in lines[1]


def test_an_engine_without_it_loads_none_of_it() -> None:
    told = "print([name for name in sys.modules if name.startswith(('opentelemetry', 'engine.telemetry'))])"
    code = f"import sys, engine.serving, engine.server.app; {told}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
