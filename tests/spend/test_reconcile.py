"""The ledger against what the agents keep themselves, and against what providers export."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine import events as log
from engine.agents import books
from engine.agents.claude_parser import ClaudeParser
from engine.config import AgentSettings, SpendSettings
from engine.errors import UsageError
from engine.model import JobSpec, State
from engine.money import Exported, Reconcile
from engine.serving import serving
from engine.spend import exports
from tests.conftest import Served, settings_file
from tests.runner.living import ended, submit
from tests.spend.test_live import message, result
from tests.spend.test_parking import claude

RECORDS = Path(__file__).parents[1] / "transcripts" / "records"


def put(home: Path, place: str, source: str) -> None:
    path = home / place
    path.parent.mkdir(parents=True)
    path.write_bytes((RECORDS / source).read_bytes())


def sums(book: books.Book | None) -> tuple[int, int, int, int]:
    assert book is not None
    used = [one.usage for one in book.entries]
    return (
        sum(one.input_tokens for one in used),
        sum(one.output_tokens for one in used),
        sum(one.cache_read_tokens for one in used),
        sum(one.cache_write_tokens for one in used),
    )


def test_the_book_of_a_session_of_claude_has_each_message_to_its_end(tmp_path: Path) -> None:
    session = "8096536f-337e-45a7-b9ef-0a01741a10c4"
    put(tmp_path, f"projects/-workspace/{session}.jsonl", "claude_tool_edit.jsonl")
    book = books.read("claude", session, {"CLAUDE_CONFIG_DIR": str(tmp_path)})
    assert sums(book) == (3_600, 120, 27_000, 900)
    assert book is not None and book.micros == 26_700


def test_the_book_of_a_session_of_gemini(tmp_path: Path) -> None:
    put(tmp_path, ".gemini/tmp/ws/chats/session-2026-11-22T08-17-9449c9d0.jsonl", "gemini_tool_edit.jsonl")
    book = books.read("gemini", "9449c9d0-c818-42c8-915f-f0f92d39a1b2", {"GEMINI_CLI_HOME": str(tmp_path)})
    assert sums(book) == (4_500, 120, 27_000, 0)


def test_the_book_of_a_thread_of_codex(tmp_path: Path) -> None:
    source = RECORDS.parent / "codex" / "compact_auto.rollout.jsonl"
    path = tmp_path / "sessions/2026/11/22/rollout-2026-11-22T07-40-56-t-1.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(source.read_bytes())
    assert sums(books.read("codex", "t-1", {"CODEX_HOME": str(tmp_path)})) == (9_500, 620, 47_000, 0)


@pytest.mark.parametrize("session", ["../../etc", "", "nothing-here"])
def test_a_session_that_has_no_book(tmp_path: Path, session: str) -> None:
    for agent in ("claude", "codex", "opencode", "gemini", "shell"):
        assert books.read(agent, session, {"HOME": str(tmp_path)}) is None


def test_a_killed_run_of_claude_is_counted_to_its_end_by_its_own_file() -> None:
    parser = ClaudeParser()
    for line in (RECORDS.parent / "claude" / "tool_edit.jsonl").read_bytes().splitlines()[:-1]:
        parser.line(line)
    assert {one.usage.output_tokens for one in parser.spent} == {1}
    for line in (RECORDS / "claude_tool_edit.jsonl").read_bytes().splitlines():
        parser.record(line)
    assert [(one.usage.output_tokens, one.final) for one in parser.spent] == [(40, True)] * 3


ANTHROPIC_USAGE = {
    "data": [
        {
            "starting_at": "2026-11-01T00:00:00Z",
            "ending_at": "2026-11-02T00:00:00Z",
            "results": [
                {
                    "uncached_input_tokens": 100,
                    "cache_creation": {"ephemeral_1h_input_tokens": 10, "ephemeral_5m_input_tokens": 20},
                    "cache_read_input_tokens": 300,
                    "output_tokens": 50,
                    "model": "claude-opus-5-5",
                },
                {"uncached_input_tokens": 1, "cache_read_input_tokens": 0, "output_tokens": 1, "cache_creation": None},
            ],
        }
    ],
    "has_more": False,
}
ANTHROPIC_COST = {
    "data": [{"starting_at": "2026-11-01T00:00:00Z", "results": [{"currency": "USD", "amount": "123.45"}]}]
}
OPENAI_USAGE = {
    "object": "page",
    "data": [
        {
            "object": "bucket",
            "start_time": 1_793_491_200,
            "results": [{"object": "organization.usage.completions.result", "input_tokens": 400, "output_tokens": 50}],
        }
    ],
}
OPENAI_COST = {"data": [{"start_time": 1_793_491_200, "results": [{"amount": {"value": 0.06, "currency": "usd"}}]}]}
CSV = (
    "usage_date_utc,model_version,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
    "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens\n"
    "2026-11-01,claude-opus-5-5,100,20,10,300,50\n2026-11-02,claude-opus-5-5,1,0,0,0,1\n"
)


@pytest.mark.parametrize(
    ("text", "found", "whose"),
    [
        (json.dumps(ANTHROPIC_USAGE), [Exported(day="2026-11-01", tokens=482)], "anthropic"),
        (json.dumps([ANTHROPIC_USAGE, ANTHROPIC_USAGE]), [Exported(day="2026-11-01", tokens=964)], "anthropic"),
        (json.dumps(ANTHROPIC_COST), [Exported(day="2026-11-01", micros=1_234_500)], "anthropic"),
        (json.dumps(OPENAI_USAGE), [Exported(day="2026-11-01", tokens=450)], "openai"),
        (json.dumps(OPENAI_COST), [Exported(day="2026-11-01", micros=60_000)], "openai"),
        (CSV, [Exported(day="2026-11-01", tokens=480), Exported(day="2026-11-02", tokens=2)], "anthropic"),
        ("date,cost_usd\n2026-11-01,$1.50\n2026-11-01,0.5\n", [Exported(day="2026-11-01", micros=2_000_000)], None),
    ],
)
def test_reports_of_providers_are_read(text: str, found: list[Exported], whose: str | None) -> None:
    assert exports.read(text, "report") == found
    assert exports.provider_of(text) == whose


@pytest.mark.parametrize(
    "text", ["", "nothing", "{}", "[]", "[1]", '{"data": 3}', '{"data": [{"results": []}]}', "a,b\n1,2\n", "day,cost\n"]
)
def test_what_is_no_report_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(UsageError, match=r"report\.csv"):
        exports.read(text, "report.csv")


def keeps(tmp_path: Path, session: str | None, lines: Sequence[str], dollars: float | None) -> None:
    """What claude keeps of a session."""
    path = tmp_path / "claude" / "projects" / "-w" / f"{session}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    state = [] if dollars is None else [json.dumps({"type": "cost-state", "totalCostUSD": dollars}) + "\n"]
    path.write_text("".join([*lines, *state]))


async def test_the_books_of_the_sessions_that_ran_are_held_against_the_ledger(home: Path, tmp_path: Path) -> None:
    settings = claude(tmp_path, message("msg_1", 1_000) + result(1_000, 1, 0.004), spend=SpendSettings(alarm=2))
    own = settings.agents["claude"]
    agent: AgentSettings = replace(own, env={"CLAUDE_CONFIG_DIR": str(tmp_path / "claude")})
    (tmp_path / "program" / "go").touch()
    async with serving(home, replace(settings, agents={"claude": agent})) as engine:
        (number,) = await submit(engine, JobSpec(prompt="do it", agent="claude"))
        row, (tried,) = await ended(engine, number)
        assert row.state is State.SUCCEEDED
        nothing = await engine.spend.reconcile(Reconcile())
        assert (nothing.lines, nothing.sessions, nothing.missing) == ([], 0, 1)

        keeps(tmp_path, tried.session, [message("msg_1", 1_000)], 0.004)
        same = await engine.spend.reconcile(Reconcile())
        (line,) = same.lines
        assert (line.ledger_tokens, line.book_tokens, line.share, same.sessions) == (1_001, 1_001, 0.0, 1)
        assert (line.ledger_micros, line.book_micros, same.over) == (4_000, 4_000, False)

        keeps(tmp_path, tried.session, [message("msg_1", 1_000), message("msg_2", 29)], 0.004)
        (line,) = (await engine.spend.reconcile(Reconcile())).lines
        assert (line.over, round(line.share, 4)) == (True, 0.0291), "a message that the ledger never saw"
        assert not (await engine.spend.reconcile(Reconcile(threshold=3))).over
        keeps(tmp_path, tried.session, [message("msg_1", 1_000)], 0.005)
        assert (await engine.spend.reconcile(Reconcile())).over, "the same tokens for other money"
        told = [one.body for one in await engine.store.read.newest_events(50) if isinstance(one.body, log.Drifted)]
        assert [(one.book, round(one.share, 3)) for one in told] == [("claude", 0.029), ("claude", 0.2)]

        day = line.day
        export = [Exported(day=day, tokens=1_001, micros=4_000), Exported(day="1999-01-01", tokens=5)]
        (line,) = (await engine.spend.reconcile(Reconcile(export=export, name="may.csv", provider="anthropic"))).lines
        assert (line.book, line.share) == ("may.csv", 0.0), "and a day before the time is left out"
        other = await engine.spend.reconcile(Reconcile(export=export[:1], provider="openai"))
        assert other.over, "nothing was spent there"


def test_drift_past_the_alarm_is_told_by_the_exit_code_and_by_doctor(served: Served, tmp_path: Path) -> None:
    settings_file(served.home, "prices: {}\n")
    served.start()
    file = tmp_path / "report.csv"
    file.write_text("date,cost_usd\n2999-01-01,3\n")
    done = served.headway("spend", "--export", str(file))
    assert (done.returncode, "100.00%" in done.stdout, "past the alarm of 1 %" in done.stderr) == (1, True, True)
    assert served.headway("spend", "--export", str(file), "--threshold", "100").returncode == 0
    assert "report.csv of 2999-01-01" not in served.headway("doctor").stdout, "it was compared again"
    served.headway("spend", "--export", str(file))
    assert "report.csv of 2999-01-01 differs from the ledger by 100.0%" in served.headway("doctor").stdout
    assert served.headway("spend", "--export", str(tmp_path / "none")).returncode == 2
    assert served.headway("spend", "--reconcile").returncode == 0
    assert served.headway("spend", "--by", "dya").stderr.strip().endswith("did you mean 'day'?")
    assert served.headway("budgets").returncode == 0
    refused = served.headway("budgets", "--allow", "day", "--amount", "$1")
    assert (refused.returncode, "no budget 'day'" in refused.stderr) == (4, True)
