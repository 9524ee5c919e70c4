"""What a running attempt has used is in the ledger while it runs, once, whatever becomes of the engine."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from engine.config import AgentSettings, Settings
from engine.engine import Engine
from engine.model import Grade, JobSpec, State
from engine.serving import serving
from tests.conftest import PATIENCE
from tests.runner.living import ended, submit

PROGRAM = """#!/usr/bin/python3
import os, sys, time
here = os.path.dirname(os.path.abspath(sys.argv[0]))
if "--version" in sys.argv:
    print("2.1.330 (Claude Code)"); sys.exit()
for name in ("first", "second", "last"):
    for line in open(os.path.join(here, name)):
        sys.stdout.write(line); sys.stdout.flush()
    while not os.path.exists(os.path.join(here, name + ".go")):
        time.sleep(0.02)
"""


def said(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, **fields}) + "\n"


def message(name: str, tokens: int) -> str:
    used = {"input_tokens": tokens, "output_tokens": 1, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    content = [{"type": "text", "text": name}]
    inner = {"id": name, "type": "message", "model": "claude-opus-5-5", "content": content, "usage": used}
    return said("assistant", message=inner, session_id="s")


def result(tokens: int, output: int, dollars: float) -> str:
    used = {"inputTokens": tokens, "outputTokens": output, "costUSD": dollars}
    return said(
        "result", subtype="success", is_error=False, result="done", uuid="u1",
        modelUsage={"claude-opus-5-5": used}, model_usage_since_last_result={"claude-opus-5-5": used},
    )  # fmt: skip


def claude(tmp_path: Path) -> Settings:
    here = tmp_path / "program"
    here.mkdir()
    (here / "claude").write_text(PROGRAM)
    (here / "claude").chmod(0o755)
    begins = said("system", subtype="init", session_id="s", model="claude-opus-5-5", cwd="/", claude_code_version="2")
    (here / "first").write_text(begins + message("msg_1", 1_000) + message("msg_1", 1_000))
    (here / "second").write_text(message("msg_2", 2_000))
    (here / "last").write_text(result(3_000, 80, 0.02))
    (here / "last.go").touch()
    return Settings(grace=1.0, agents={"claude": AgentSettings(command=[str(here / "claude")])})


async def spent(engine: Engine, job: int, tokens: int) -> tuple[int | None, Grade]:
    """What a job shows as its cost, once it shows so many tokens: woken by what its attempt reports."""
    async with asyncio.timeout(PATIENCE):
        while True:
            seq, (version, _) = engine.hub.seq, engine.hub.progress_after(0)
            (row,) = await engine.rows([job])
            if row.input_tokens == tokens:
                return row.cost_micros, row.cost_grade
            await engine.hub.changed(seq, version)


async def test_money_shows_while_it_is_spent_and_counts_once_over_a_restart(home: Path, tmp_path: Path) -> None:
    settings = claude(tmp_path)
    here = tmp_path / "program"
    async with serving(home, settings) as engine:
        (job,) = await submit(engine, JobSpec(prompt="do it", agent="claude"))
        assert await spent(engine, job, 1_000) == (4_020, Grade.ESTIMATED), "$4 and $20 a million, by the table"
        status = await engine.status()
        assert (status.spend_today_micros, status.spend_today_grade) == (4_020, Grade.ESTIMATED)
        assert (await engine.row(job)).state is State.RUNNING
    (here / "first.go").touch()
    async with serving(home, settings) as engine:
        assert await spent(engine, job, 3_000) == (12_040, Grade.ESTIMATED), "the first message was read again"
        (here / "second.go").touch()
        row, attempts = await ended(engine, job)
        assert (row.input_tokens, row.output_tokens) == (3_000, 80)
        assert (row.cost_micros, row.cost_grade) == (20_000, Grade.REPORTED), "what claude says takes its place"
        (used,) = await engine.store.read.usage(attempts[0].id)
        assert (used.input_tokens, used.cost_micros) == (3_000, 20_000)
        assert (await engine.status()).spend_today_micros == 20_000
