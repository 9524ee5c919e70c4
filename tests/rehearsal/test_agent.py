"""The stand-in agent as claude: its stream, its real tools, its signals; and how it is started in any format."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.agents.asking import Told
from engine.agents.claude import Claude
from engine.agents.claude_parser import ClaudeParser
from engine.agents.events import Compacted, FileEdit, Limit, Retrying, ToolResult
from engine.model import Failure
from engine.rehearsal import agent
from engine.rehearsal.players import files, wire
from engine.rehearsal.scenario import (
    FORMATS,
    Compact,
    Deny,
    Edit,
    Fail,
    Read,
    Retry,
    Run,
    Say,
    Scenario,
    Think,
    Write,
    find,
    names,
)
from engine.rehearsal.scenario import Limit as LimitStep
from tests.rehearsal.playing import Json, Played, command, environment, steps, told

RECORDINGS = Path(__file__).parents[1] / "transcripts" / "claude"


def shapes(line: Json) -> Iterator[tuple[str, Json]]:
    """The objects of a line whose keys a reader may rely on, each with the kind of thing that it is."""
    kind = line["type"]
    if kind == "result" and "local_command" not in line:
        failed = "api_error" if line["is_error"] and line["subtype"] == "success" else line["subtype"]
        outcome = "not started" if line.get("terminal_reason") is None else failed
        yield f"result {outcome}", line
        for usage in (line.get("model_usage_since_last_result") or {}).values():
            yield "model usage", usage
        for denial in line["permission_denials"]:
            yield "denial", denial
    elif kind == "rate_limit_event":
        info = line["rate_limit_info"]
        yield "rate limits", info
        for window in info["unifiedWindows"].values():
            yield "window", window
    elif kind == "system":
        yield f"system {line['subtype']}", line
        if line["subtype"] == "compact_boundary":
            yield "compact metadata", line["compact_metadata"]
    elif kind == "assistant":
        synthetic = line["message"]["model"] == "<synthetic>"
        yield "synthetic" if synthetic else "assistant", line
        yield "synthetic message" if synthetic else "message", line["message"]
        yield "usage", line["message"]["usage"]
        for block in line["message"]["content"]:
            yield f"{block['type']} block", block
    elif kind == "user" and "tool_use_result" in line:
        yield "tool result", line
        result = line["message"]["content"][0]
        yield ("failed" if result.get("is_error") else "good") + " result block", result
        if isinstance(detail := line["tool_use_result"], dict):
            yield f"detail {detail.get('type') or ('edit' if 'oldString' in detail else 'bash')}", detail


def recorded_keys() -> dict[str, tuple[set[str], set[str]]]:
    """Kind of object -> the keys that it always has in the recordings, and all that it ever has."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for path in RECORDINGS.glob("*.jsonl"):
        for text in path.read_text().splitlines():
            if text.startswith("{") and not (line := json.loads(text)).get("agent_id"):
                for kind, value in shapes(line):
                    always, ever = found.setdefault(kind, (set(value), set()))
                    always &= set(value)
                    ever |= set(value)
    return found


def everything() -> list[Scenario]:
    working = steps(
        Think(text="Hm."),
        Say(text="I will."),
        Read(path="README.md"),
        Edit(path="README.md", find="# tally", replace="# Tally"),
        Write(path="new.txt", text="new\n"),
        Write(path="README.md", text="other\n"),
        Run(command="echo out"),
        Run(command="exit 3"),
        Read(path="none"),
        Retry(times=2),
        LimitStep(used=0.97),
        Compact(),
        Deny(tool="Bash", input={"command": "rm x"}),
        Say(text="Done."),
    )
    kinds = ("usage_limit", "overloaded", "connection", "context", "max_turns", "max_budget", "billing")
    failing = [steps(Run(command="true"), Fail(kind=kind)) for kind in kinds]  # type: ignore[arg-type]
    return [working, *failing, steps(Fail(kind="lost"))]


def test_the_stream_has_the_keys_of_the_real_one(play: Callable[..., Played]) -> None:
    recorded = recorded_keys()
    seen: set[str] = set()
    for scenario in everything():
        for line in play(scenario).lines:
            for kind, value in shapes(line):
                seen.add(kind)
                if kind == "thinking block":  # the recordings have none
                    assert set(value) == {"type", "thinking", "signature"}
                    continue
                always, ever = recorded[kind]
                assert set(value) >= always, f"{kind} lacks {always - set(value)}"
                assert set(value) <= ever, f"{kind} has made-up {set(value) - ever}"
    assert len(seen) >= 28, sorted(seen)


@pytest.mark.parametrize(
    ("name", "resumed", "verdict"),
    [
        *(
            (name, False, None)
            for name in ("fix-bug", "write-docs", "refactor", "tests", "long-think", "denied", "ask", "judge")
        ),
        ("flaky-network", False, None),
        ("limit", False, Failure.RATE_LIMITED),
        ("limit", True, None),
        ("overflow", False, Failure.CONTEXT_OVERFLOW),
        ("crash", False, Failure.CRASHED),
        ("crash", True, None),
    ],
)
def test_each_scenario_ends_as_it_says(
    name: str, resumed: bool, verdict: Failure | None, play: Callable[..., Played], workspace: Path
) -> None:
    played = play(find(name, workspace), resumed)
    assert played.outcome.failure is verdict, played.outcome.reason
    assert played.outcome.unknown_lines == 0
    assert played.stderr == ""
    assert played.outcome.usage
    if verdict is None and not resumed and name != "tests":
        assert not [
            event for event in played.events if isinstance(event, ToolResult) and "tool_use_error" in event.output
        ]


def test_what_it_asks_and_hears_is_what_claude_does(workspace: Path, tmp_path: Path) -> None:
    recording = Path(__file__).parents[1] / "transcripts" / "claude" / "stream_input_permission_prompt.jsonl"
    recorded = next(line for line in map(json.loads, recording.open()) if line["type"] == "control_request")
    scenario = steps(Run(command="echo ran >ran.txt", about="run", ask=True), Say(text="ok"))
    argv = [*command(scenario, tmp_path), "--permission-prompt-tool", "stdio"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(argv, cwd=workspace, env=environment(), **pipes) as process:  # type: ignore[call-overload]
        parser = ClaudeParser()
        for line in process.stdout:
            parser.line(line)
            if not parser.asking:
                continue
            asked = json.loads(line)
            assert set(asked) == set(recorded)
            assert set(asked["request"]) == set(recorded["request"]) - {"blocked_path"}
            assert not (workspace / "ran.txt").exists()
            (request,) = parser.asking.values()
            wrong = b'{"type":"control_response","response":{"request_id":"another","response":{"behavior":"deny"}}}\n'
            process.stdin.write(b"a line\n" + wrong + Claude().answer(request, Told(True)))
            process.stdin.flush()
            break
        rest = [parser.line(line) for line in process.stdout]
    assert rest
    assert process.returncode == 0
    assert parser.asking == {}
    assert (workspace / "ran.txt").exists()


def test_every_scenario_is_tried_above() -> None:
    tried = {"fix-bug", "write-docs", "refactor", "tests", "long-think", "denied", "flaky-network", "limit", "overflow"}
    assert set(names()) == tried | {"crash", "ask", "judge", "optimist", "stubborn", "reviewer", "critic"}
    assert all(1 <= find(name, Path()).seconds <= 15 for name in names())


def unittests(workspace: Path) -> int:
    argv = [sys.executable, "-B", "-m", "unittest", "discover", "-s", "tests", "-t", "."]
    return subprocess.run(argv, cwd=workspace, capture_output=True).returncode


def test_the_bug_is_really_fixed(play: Callable[..., Played], workspace: Path) -> None:
    assert unittests(workspace) == 1
    played = play(find("fix-bug", workspace))
    assert unittests(workspace) == 0
    assert FileEdit("tally/ledger.py", 1, 1) in played.events
    results = [event for event in played.events if isinstance(event, ToolResult)]
    assert not results[0].ok and "FAILED (failures=1)" in results[0].output
    assert results[3].ok and results[3].output.endswith("OK")


def test_a_command_runs_here_and_its_output_is_told(play: Callable[..., Played], workspace: Path) -> None:
    played = play(steps(Run(command="pwd; echo err >&2; echo x > made"), Run(command="kill -9 $$"), Say(text="ok")))
    results = [event for event in played.events if isinstance(event, ToolResult)]
    assert results[0].output == f"{workspace}\nerr"
    assert (workspace / "made").read_text() == "x\n"
    assert results[1].output == "Exit code 137"


def test_a_command_that_takes_too_long_is_ended(play: Callable[..., Played]) -> None:
    played = play(steps(Run(command="echo begun; exec sleep 60", timeout=100), Say(text="ok")))
    result = next(event for event in played.events if isinstance(event, ToolResult))
    assert result.output == "Exit code 143\nbegun\nCommand timed out after 0.1s"


def test_an_edit_that_does_not_fit_is_an_error_of_the_tool(play: Callable[..., Played]) -> None:
    played = play(
        steps(
            Edit(path="README.md", find="not there", replace=""), Edit(path="no", find="a", replace=""), Say(text="ok")
        )
    )
    outputs = [event.output for event in played.events if isinstance(event, ToolResult)]
    assert outputs == [
        "<tool_use_error>String to replace not found in file.</tool_use_error>",
        "<tool_use_error>File does not exist.</tool_use_error>",
    ]
    assert played.outcome.succeeded


@pytest.mark.parametrize(
    ("kind", "verdict", "code"),
    [
        ("usage_limit", Failure.RATE_LIMITED, 1),
        ("rate_limit", Failure.RATE_LIMITED, 1),
        ("overloaded", Failure.OVERLOADED, 1),
        ("server", Failure.OVERLOADED, 1),
        ("connection", Failure.OVERLOADED, 1),
        ("auth", Failure.AUTH, 1),
        ("billing", Failure.BILLING, 1),
        ("context", Failure.CONTEXT_OVERFLOW, 1),
        ("model", Failure.UNKNOWN, 1),
        ("max_turns", Failure.BUDGET_EXCEEDED, 1),
        ("max_budget", Failure.BUDGET_EXCEEDED, 1),
        ("crash", Failure.CRASHED, -9),
        ("exit", Failure.CRASHED, 1),
        ("refused", Failure.SPAWN_FAILED, 1),
        ("lost", Failure.CONTEXT_LOST, 1),
    ],
)
def test_each_kind_of_failure_is_read_as_its_class(
    kind: Any, verdict: Failure, code: int, play: Callable[..., Played]
) -> None:
    played = play(steps(Fail(kind=kind)))
    assert (played.outcome.failure, played.code) == (verdict, code)
    assert (played.outcome.retry_at is not None) == (kind == "usage_limit")


def test_an_exit_without_a_result_is_no_success(play: Callable[..., Played]) -> None:
    assert play(steps(Fail(kind="exit", code=0))).outcome.failure is Failure.BAD_OUTPUT


def test_limits_retries_and_compaction_are_seen(play: Callable[..., Played]) -> None:
    played = play(
        steps(LimitStep(used=0.8, window="seven_day"), Retry(times=2, delay=500), Compact(after=900), Say(text="ok"))
    )
    limits = {event.window: (event.status, event.used) for event in played.events if isinstance(event, Limit)}
    assert limits == {"five_hour": ("allowed", 0.21), "seven_day": ("warning", 0.8)}
    retries = [event for event in played.events if isinstance(event, Retrying)]
    assert retries == [Retrying(1, 500, 529, "overloaded"), Retrying(2, 1000, 529, "overloaded")]
    assert Compacted(14_000, 900, "auto") in played.events


def test_a_resumed_session_goes_on_with_its_totals(play: Callable[..., Played]) -> None:
    played = play(steps(Say(text="ok")), resumed=True)
    result = played.lines[-1]
    own = result["model_usage_since_last_result"]["rehearsal-1"]["costUSD"]
    assert result["total_cost_usd"] > own > 0
    assert [usage.cost_micros for usage in played.outcome.usage] == [round(own * 1_000_000)]


def test_the_price_is_that_of_the_tokens(play: Callable[..., Played]) -> None:
    (usage,) = play(steps(Say(text="ok", tokens=1_000))).outcome.usage
    tokens = (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens)
    assert tokens == (12, 1_000, 0, 14_000)
    assert usage.cost_micros == round(12 * 3 + 1_000 * 15 + 14_000 * 3.75)


def test_an_empty_directory_gets_the_sample_project(tmp_path: Path) -> None:
    for name, mine in (("empty", {}), ("full", {"mine.txt": "mine"})):
        directory = tmp_path / name
        directory.mkdir()
        for file, text in mine.items():
            (directory / file).write_text(text)
        argv = command(find("write-docs", tmp_path), tmp_path)
        subprocess.run(argv, cwd=directory, env=environment(), stdout=subprocess.DEVNULL, check=True)
        assert (directory / "tally" / "ledger.py").exists() == (not mine)


@pytest.fixture
def held(workspace: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """An agent in the middle of a command, and a pipe that stays open as long as the command lives."""
    fifo = tmp_path / "held"
    os.mkfifo(fifo)
    scenario = steps(Run(command=f"exec 9>'{fifo}'; echo $$ >&9; sleep 300; true"), Say(text="ok"))
    process = subprocess.Popen(command(scenario, tmp_path), cwd=workspace, env=environment(), stdout=subprocess.PIPE)
    reader = os.open(fifo, os.O_RDONLY)
    session = int(os.read(reader, 20))
    yield process, reader
    os.close(reader)
    process.kill()
    process.communicate()
    with suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)


def test_a_term_ends_it_with_143_and_takes_its_tools_along(held: tuple[subprocess.Popen[bytes], int]) -> None:
    process, reader = held
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    played = told("claude", process.returncode, out, b"")
    assert process.returncode == 143
    assert os.read(reader, 1) == b""
    assert played.lines[-1]["message"]["content"][0]["content"] == "Exit code 137"
    assert played.outcome.failure is Failure.CRASHED


def test_a_kill_leaves_its_tools_running_as_claude_does(held: tuple[subprocess.Popen[bytes], int]) -> None:
    process, reader = held
    process.kill()
    process.communicate(timeout=20)
    os.set_blocking(reader, False)
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 0)])
def test_signals_while_it_waits(number: int, code: int, workspace: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(steps(Fail(kind="hang")), tmp_path), cwd=workspace, env=environment(), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    played = told("claude", process.returncode, first + out, b"")
    assert process.returncode == code
    assert "result" not in [line["type"] for line in played.lines]
    assert not played.outcome.succeeded


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["claude", "--scenario"],
        ["claude", "--scenario", "none.json", "--session-id", "x"],
        ["aider", "--scenario", __file__],
        ["claude", "--scenario", __file__],
    ],
)
def test_a_wrong_command_line_is_one_line(words: list[str], tmp_path: Path) -> None:
    argv = [sys.executable, "-I", "-S", agent.__file__, *words]
    ended = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.startswith("usage: ") and ended.stderr.count("\n") == 1


def test_a_wrong_speed_is_one_line(tmp_path: Path) -> None:
    ended = subprocess.run(
        command(steps(Say(text="ok")), tmp_path), env=environment("fast"), capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (1, "rehearsal: HEADWAY_REHEARSAL_SPEED is not a number\n")


@pytest.mark.parametrize("format_", FORMATS)
def test_it_starts_without_the_slow_modules(format_: str) -> None:
    code = f"""import sys; sys.path.append({str(Path(agent.__file__).parents[2])!r})
from engine.rehearsal import agent
assert agent.player({format_!r}).__module__ == 'engine.rehearsal.players.{format_}'
agent.main(['{format_}'])
print(*sys.modules)"""
    loaded = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True).stdout
    assert "_json" in loaded.split()
    assert not {"json", "re", "enum", "typing", "subprocess", "threading", "pathlib"} & set(loaded.split())
    others = {f"engine.rehearsal.players.{other}" for other in FORMATS if other != format_}
    assert not others & set(loaded.split())


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
@settings(max_examples=60, deadline=None)
def test_its_json_is_json(value: Json) -> None:
    assert json.loads(wire.dumps(value)) == value
    assert wire.loads(json.dumps(value)) == value
    assert b"\n" not in wire.dumps(value)


LINES = st.lists(st.sampled_from("abcd"), max_size=8).map(lambda lines: "".join(line + "\n" for line in lines))


@given(LINES, LINES)
@settings(deadline=None)
def test_a_patch_leads_from_one_text_to_the_other(before: str, after: str) -> None:
    hunks = files.patch(before, after)
    if before == after:
        assert hunks == []
        return
    (hunk,) = hunks
    old, new = before.splitlines(), after.splitlines()
    at = hunk["oldStart"] - 1
    assert [line[1:] for line in hunk["lines"] if line[0] != "+"] == old[at : at + hunk["oldLines"]]
    assert [line[1:] for line in hunk["lines"] if line[0] != "-"] == new[at : at + hunk["newLines"]]
    assert old[:at] == new[:at] and old[at + hunk["oldLines"] :] == new[at + hunk["newLines"] :]
