"""Codex: how it is started, and what only its rollout tells."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from engine.agents.base import Assignment, Exit, Outcome
from engine.agents.codex import Codex
from engine.agents.events import (
    AnyAgentEvent,
    Compacted,
    Context,
    FileEdit,
    Limit,
    Retrying,
    Started,
    ToolCall,
    ToolResult,
)
from engine.config import AgentSettings
from engine.errors import UsageError
from engine.model import Failure, Usage
from engine.runner.record import Record, find, size
from tests.agents import replay

THREAD = "01a22301-a097-7a20-b80c-45c592c33a9d"
CASES = replay.table("codex")
CODEX = Codex()


def assignment(**given: object) -> Assignment:
    told = {"prompt": "go", "model": None, "settings": AgentSettings(), **given}
    return Assignment(workspace=Path("/workspace"), run_dir=Path("/run"), **told)  # type: ignore[arg-type]


def argv(**given: object) -> list[str]:
    return list(CODEX.launch(assignment(**given)).argv)


LENGTHS = {"five_hour": 5 * 3_600_000, "seven_day": 7 * 86_400_000}


def limit(name: str, status: str, used: float, resets_at: int) -> Limit:
    return Limit(name, status, used, resets_at, None, LENGTHS[name], "", "token_count")


def test_a_new_conversation() -> None:
    assert argv(model="gpt-5.5") == [
        "codex", "exec", "--json", "--skip-git-repo-check", "-s", "workspace-write", "-m", "gpt-5.5", "-",
    ]  # fmt: skip


def test_a_resume_gives_the_sandbox_again_and_before_the_subcommand() -> None:
    settings = AgentSettings(permission_mode="read-only", args=["-c", "model_reasoning_effort=high"])
    assert argv(resumes=THREAD, settings=settings) == [
        "codex", "exec", "-c", "model_reasoning_effort=high", "--json", "--skip-git-repo-check", "-s", "read-only",
        "resume", THREAD, "-",
    ]  # fmt: skip


def test_only_a_uuid_is_resumed() -> None:
    """Any other word makes codex begin a new session without saying so."""
    for name in ("--last", "job-17", ""):
        with pytest.raises(UsageError, match="is not a UUID"):
            argv(resumes=name)


@pytest.mark.parametrize("prompt", ["--last", "-", "ü" * 100_000, "a\nb"])
def test_the_prompt_is_a_file_on_standard_input(prompt: str) -> None:
    launch = CODEX.launch(assignment(prompt=prompt))
    assert (launch.stdin, launch.files) == ("prompt", {"prompt": prompt.encode()})
    assert list(launch.argv)[-1] == "-"


@pytest.mark.parametrize(
    "settings",
    [
        AgentSettings(args=["--dangerously-bypass-approvals-and-sandbox"]),
        AgentSettings(args=["--dangerously-bypass-hook-trust"]),
        AgentSettings(args=["--yolo"]),
        AgentSettings(args=["--trust"]),
        AgentSettings(args=["--approve-for-me"]),
        AgentSettings(args=["-sdanger-full-access"]),
        AgentSettings(args=["-c", 'sandbox_mode="danger-full-access"']),
        AgentSettings(args=["-c", "sandbox_mode=x"]),
        AgentSettings(args=["-csandbox_mode=x"]),
        AgentSettings(args=["--config=approval_policy=on-request"]),
        AgentSettings(args=['-c=projects."/w".trust_level=trusted']),
        AgentSettings(command=["codex", "--dangerously-bypass-approvals-and-sandbox"]),
    ],
)
def test_leaving_the_sandbox_is_refused(settings: AgentSettings) -> None:
    for call in (lambda: argv(settings=settings), lambda: CODEX.check(settings)):
        with pytest.raises(UsageError, match="needs a sandbox around it first"):
            call()


def test_a_mode_without_a_sandbox_is_none() -> None:
    with pytest.raises(UsageError, match="danger-full-access"):
        CODEX.check(AgentSettings(permission_mode="danger-full-access"))
    with pytest.raises(UsageError, match="none of workspace-write, read-only"):
        CODEX.check(AgentSettings(permission_mode="acceptEdits"))


@pytest.mark.parametrize(
    "arg", ["--", "-s", "--sandbox=read-only", "-mx", "--json", "resume", "--last", "--ephemeral", "-C", "--worktree"]
)
def test_options_that_are_ours_are_refused(arg: str) -> None:
    with pytest.raises(UsageError, match=r"agents\.codex\.args: remove"):
        CODEX.check(AgentSettings(args=[arg]))


def test_other_options_are_taken() -> None:
    CODEX.check(AgentSettings(args=["--profile=review", "-cfoo.bar=1", "--add-dir", "/data", "--oss"]))
    with pytest.raises(UsageError, match="allowed_tools: it means nothing to codex"):
        CODEX.check(AgentSettings(allowed_tools=["shell"]))


def test_the_rollout_is_where_codex_keeps_it() -> None:
    assert CODEX.record({"HOME": "/h"}) == "/h/.codex/sessions/*/*/*/rollout-*-{session}.jsonl"
    assert CODEX.record({"HOME": "/h", "CODEX_HOME": "/c[1]"}) == "/c[[]1]/sessions/*/*/*/rollout-*-{session}.jsonl"
    assert CODEX.record({}) is None


def test_errors_of_the_stream_are_not_its_end() -> None:
    events, _, outcome = replay.play(CODEX, CASES["rate_limit_429_once_retry_after_3"])
    words = "Reconnecting... 1/5 (exceeded retry limit, last status: 429 Too Many Requests)"
    assert Retrying(1, 0, None, words) in events
    assert outcome.succeeded
    parser = CODEX.parser()
    for line in replay.recorded("codex", "auth_401")[:-1]:
        parser.line(line)
        assert not parser.said_done
    parser.line(replay.recorded("codex", "auth_401")[-1])
    assert parser.said_done


def test_a_run_with_tools_becomes_events() -> None:
    events, _, _ = replay.play(CODEX, CASES["tool_edit_workspace_write"])
    assert FileEdit("/workspace/hello.txt") in events
    assert ToolCall("item_2", "command_execution", "/bin/bash -lc 'cat hello.txt && ls'") in events
    assert ToolResult("item_2", True, "hello\nREADME.md\nhello.txt\n") in events


def test_windows_and_context_are_in_the_rollout() -> None:
    _, record, outcome = replay.play(CODEX, CASES["windows_headers_ok"])
    assert [event for event in record if isinstance(event, Limit)][-2:] == [
        limit("five_hour", "allowed", 0.42, 1_795_342_082_000),
        limit("seven_day", "allowed", 0.17, 1_795_733_082_000),
    ]
    assert Context(10_500, 40, 258_400) in record
    assert outcome.usage[0].model == "gpt-5.5"


def test_a_usage_limit_ends_with_the_window_that_is_full() -> None:
    _, record, outcome = replay.play(CODEX, CASES["usage_limit_reached"])
    assert limit("five_hour", "rejected", 1.0, 1_795_890_821_000) in record
    assert outcome.retry_at == 1_795_890_821_000


def test_a_limit_without_windows_of_its_own_closes_the_one_that_was_used_most() -> None:
    """As the recorded 429 came without its headers: the last known figures stand, 97 and 30 per cent."""
    _, record, outcome = replay.play(CODEX, CASES["usage_limit_mid_run"])
    assert record[-1] == limit("five_hour", "rejected", 0.97, 1_795_340_281_000)
    assert outcome.retry_at == 1_795_340_281_000
    _, _, plain = replay.play(CODEX, CASES["rate_limit_429_forever"])
    assert (plain.failure, plain.retry_at) == (Failure.RATE_LIMITED, None), "no window was closed by it"


def test_a_compaction_and_the_version_are_only_in_the_rollout() -> None:
    events, record, outcome = replay.play(CODEX, CASES["compact_auto"])
    assert record[0] == Started(outcome.session, None, "/workspace", "0.169.0")
    assert Compacted(10_500, None, "auto") in record
    assert not [event for event in events if isinstance(event, Compacted)]


def _followed(folder: Path, run: str, start: int, end: int, resumed: bool) -> tuple[Outcome, list[AnyAgentEvent]]:
    """One run of a thread, read as the engine reads it: its stream, and its part of the thread's one rollout."""
    home = folder / "home" / "sessions" / "2026" / "11" / "28"
    home.mkdir(parents=True, exist_ok=True)
    path = home / f"rollout-2026-11-28T16-33-00-{THREAD}.jsonl"
    path.write_bytes((folder / "rollout.jsonl").read_bytes()[:end])
    pattern = CODEX.record({"CODEX_HOME": str(folder / "home")})
    assert pattern is not None and find(pattern, THREAD) == path and size(pattern, THREAD) == end
    parser, told = CODEX.parser(resumed=resumed), []

    def sink(lines: list[bytes]) -> None:
        told.extend(event for line in lines for event in parser.record(line))

    for line in (folder / run).read_bytes().splitlines():
        parser.line(line)
    record = Record(pattern, start, sink)
    while record.read(THREAD):
        pass
    return parser.outcome(Exit(0), ""), told


def _turns(folder: Path) -> list[int]:
    """The offsets at which the turns of a rollout begin, and its end."""
    offsets, at = [0], 0
    for line in (folder / "rollout.jsonl").read_bytes().splitlines(keepends=True):
        at += len(line)
        if json.loads(line)["payload"].get("type") == "task_complete":
            offsets.append(at)
    return offsets


def test_each_run_of_a_thread_pays_for_its_own_turn(tmp_path: Path) -> None:
    """The stream tells 10,500, 21,000 and 42,000 input tokens, the sum of the thread: each is to be paid once."""
    folder = shutil.copytree(replay.TRANSCRIPTS / "codex" / "thread", tmp_path / "t")
    ends = _turns(folder)
    used = []
    for n in range(3):
        outcome, _ = _followed(folder, f"{n + 1}.jsonl", ends[n], ends[n + 1], resumed=n > 0)
        assert outcome.session == THREAD
        used.append(outcome.usage)
    one = Usage(model="gpt-5.5", input_tokens=1_500, output_tokens=40, cache_read_tokens=9_000)
    assert used == [
        (one,),
        (one,),
        (Usage(model="gpt-5.5", input_tokens=3_000, output_tokens=80, cache_read_tokens=18_000),),
    ]


def test_without_its_rollout_a_resumed_run_has_no_usage_rather_than_a_wrong_one() -> None:
    lines = (replay.TRANSCRIPTS / "codex" / "thread" / "3.jsonl").read_bytes().splitlines()
    for resumed, known in ((False, 1), (True, 0)):
        parser = CODEX.parser(resumed=resumed)
        for line in lines:
            parser.line(line)
        assert len(parser.outcome(Exit(0), "").usage) == known


def test_a_failure_of_an_earlier_turn_is_not_this_ones(tmp_path: Path) -> None:
    folder = shutil.copytree(replay.TRANSCRIPTS / "codex" / "limit", tmp_path / "t")
    begins = _turns(folder)
    parser = CODEX.parser(resumed=True)
    rollout = (folder / "rollout.jsonl").read_bytes()
    told = [event for line in rollout[begins[1] :].splitlines() for event in parser.record(line)]
    for line in (folder / "2.jsonl").read_bytes().splitlines():
        parser.line(line)
    outcome = parser.outcome(Exit(0), "")
    assert (outcome.succeeded, outcome.retry_at, outcome.result) == (True, None, "finished")
    assert not [event for event in told if isinstance(event, Limit)]


async def test_a_record_that_is_no_file_or_names_nothing_is_not_read(tmp_path: Path) -> None:
    told: list[bytes] = []
    (tmp_path / f"x-{THREAD}").mkdir()
    for pattern, session in (
        (None, THREAD), (f"{tmp_path}/none-{{session}}", THREAD), (f"{tmp_path}/x-{{session}}", THREAD),
        (f"{tmp_path}/x-{{session}}", "*"), (f"{tmp_path}/x-{{session}}", "../x"), (f"{tmp_path}/x-{{session}}", None),
    ):  # fmt: skip
        record = Record(pattern, 0, told.extend)
        assert record.read(session) == 0
        await record.finish(session)
    assert told == []
    assert size(f"{tmp_path}/x-{{session}}", "*") == 0
