"""A conversation goes on in its own directory alone, and what an agent tells beside its output is read with it."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.config import AgentSettings
from engine.engine import Engine
from engine.model import Failure, JobSpec, State, Verb
from engine.orders import Order
from engine.runner.run_dir import run_dir
from engine.serving import serving
from engine.window import Standing
from tests.runner.living import ended, launched, rehearsal, settled, submit

THREAD = "01a22301-a097-7a20-b80c-45c592c33a9d"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.0)
    monkeypatch.setenv("HEADWAY_REHEARSAL_SPEED", "0")


def prompt(engine: Engine, job: int, number: int) -> str:
    return (run_dir(engine.home, job, number).path / "prompt").read_text()


async def test_in_another_directory_it_begins_anew_and_is_told_where_the_other_was(
    engine: Engine, tmp_path: Path
) -> None:
    """As after a home was moved: gemini finds its session nowhere else, and opencode hangs."""
    model = rehearsal(tmp_path, [{"do": "fail", "kind": "crash"}], [{"do": "say", "text": "went on"}])
    (job,) = await submit(engine, JobSpec(prompt="the task", agent="rehearsal", model=model, max_attempts=1))
    _, (first,) = await ended(engine, job)
    moved = "UPDATE attempts SET workspace = '/elsewhere' WHERE job = ?"
    await engine.store.write(lambda tx: tx.connection.execute(moved, (job,)) and None)
    await engine.act(Order(verb=Verb.RETRY, jobs=[job]), "tester")
    _, (_, second) = await ended(engine, job)
    assert second.workspace == first.workspace
    assert second.resumes is None
    assert second.session not in (None, first.session)
    told = prompt(engine, job, 2)
    assert told.startswith("An earlier session worked on this task in another directory, /elsewhere,")
    assert told.endswith("The task is:\n\nthe task")


#: Stands for codex: a turn that meets the limit, and when it is resumed one that does not. As the real one, it writes
#: to its thread's rollout what it does not print.
CODEX = """\
#!/bin/sh
[ "$*" != --version ] || exit 0
cat >/dev/null
day="$CODEX_HOME/sessions/2026/11/28"
mkdir -p "$day"
rollout="$day/rollout-2026-11-28T16-33-00-THREAD.jsonl"
say() { printf '%s\\n' "$1"; }
record() { printf '%s\\n' "$1" >>"$rollout"; }
say '{"type":"thread.started","thread_id":"THREAD"}'
say '{"type":"turn.started"}'
tokens='"input_tokens":1500,"cached_input_tokens":500,"cache_write_input_tokens":0,"output_tokens":40'
used='{"type":"token_usage_record","payload":{"turn_token_usage":{'$tokens'}}}'
case "$*" in
*resume*)
  say '{"type":"item.completed","item":{"id":"i","type":"agent_message","text":"finished"}}'
  record '{"type":"turn_context","payload":{"model":"gpt-x"}}'
  record "$used"
  record '{"type":"event_msg","payload":{"type":"task_complete"}}'
  say '{"type":"turn.completed","usage":{"input_tokens":3000,"cached_input_tokens":1000,"output_tokens":80}}'
  ;;
*)
  record '{"type":"session_meta","payload":{"cli_version":"0.169.0","cwd":"/w"}}'
  record '{"type":"turn_context","payload":{"model":"gpt-x"}}'
  record "$used"
  window='{"used_percent":100,"window_minutes":300,"resets_at":RESETS}'
  record '{"type":"event_msg","payload":{"type":"token_count","rate_limits":{"primary":'$window'}}}'
  error='{"message":"m","codex_error_info":"usage_limit_exceeded"}'
  record '{"type":"event_msg","payload":{"type":"task_complete","error":'$error'}}'
  say '{"type":"turn.failed","error":{"message":"limit"}}'
  exit 1
  ;;
esac
"""


async def test_what_codex_writes_beside_its_output_parks_the_job_and_is_paid_once(
    engine: Engine, tmp_path: Path
) -> None:
    program, resets = tmp_path / "codex", int(time.time()) + 3_600
    program.write_text(CODEX.replace("THREAD", THREAD).replace("RESETS", str(resets)))
    program.chmod(0o755)
    own = AgentSettings(command=[str(program)], env={"CODEX_HOME": str(tmp_path / "codex-home")})
    async with serving(tmp_path / "other", replace(engine.settings, agents={"codex": own})) as other:
        (job,) = await submit(other, JobSpec(prompt="x", agent="codex"))
        parked, first = await settled(other, job)
        assert (first.failure, parked.state, parked.not_before) == (Failure.RATE_LIMITED, State.READY, resets * 1000)
        (window,) = await other.weather.windows()
        assert (window.account, window.window, window.standing) == ("codex", "five_hour", Standing.CLOSED)
        await other.weather.try_now("codex")
        row, (_, second) = await ended(other, job)
        detail = await other.job(job)
        known = "SELECT agent_version FROM sessions"
        version = await other.store.look(lambda tx: tx.connection.execute(known).fetchall())
    assert (row.state, row.tries) == (State.SUCCEEDED, 1)
    assert second.resumes == first.session == second.session == THREAD
    assert second.workspace == first.workspace
    assert [[(one.model, one.input_tokens, one.output_tokens) for one in tried.usage] for tried in detail.attempts] == [
        [("gpt-x", 1_000, 40)],
        [("gpt-x", 1_000, 40)],
    ]
    assert (version, row.input_tokens) == ([("0.169.0",)], 3_000)
    noted = json.loads((run_dir(tmp_path / "other", job, 2).path / "facts.json").read_bytes())
    assert noted["recorded"] > 0, "the second reads on where the first ended"


async def test_one_that_was_silent_because_its_provider_did_not_serve_has_not_stalled(
    engine: Engine, tmp_path: Path
) -> None:
    """Codex sleeps through an hour's `retry-after` without a word: that uses up no attempt."""
    program = tmp_path / "codex"
    error = '{"type":"error","message":"Reconnecting... 1/5 (x)"}'
    thread = f'{{"type":"thread.started","thread_id":"{THREAD}"}}'
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' '{thread}' '{error}'\nexec sleep 600\n")
    program.chmod(0o755)
    own = AgentSettings(command=[str(program)], env={"CODEX_HOME": str(tmp_path)}, stall="1s")
    async with serving(tmp_path / "other", replace(engine.settings, agents={"codex": own})) as other:
        (job,) = await submit(other, JobSpec(prompt="x", agent="codex"))
        await launched(other, job)
        await other.act(Order(verb=Verb.HOLD, jobs=[job]), "tester")  # so that it does not begin again at once
        row, first = await settled(other, job)
    assert (first.failure, row.state, row.tries) == (Failure.OVERLOADED, State.READY, 0), first.reason
    assert "still waiting for its provider: Reconnecting" in (first.reason or "")
