"""The stand-in as codex, opencode and gemini: the lines, fields, order and exits of the recorded runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import msgspec
import pytest

from engine.agents.base import Exit
from engine.agents.events import Compacted, FileEdit, Limit, Retrying, Started, Text
from engine.agents.rehearsal import Rehearsal
from engine.config import AgentSettings
from engine.errors import UsageError
from engine.model import Failure
from engine.rehearsal.scenario import (
    Compact,
    Deny,
    Edit,
    Fail,
    Format,
    Read,
    Retry,
    Run,
    Say,
    Scenario,
    Think,
    Write,
    find,
    names,
    read,
)
from engine.rehearsal.scenario import Limit as LimitStep
from tests.agents import replay
from tests.rehearsal import shapes
from tests.rehearsal.playing import Played, command, environment, steps, told
from tests.rehearsal.playing import play as run

Play = Callable[..., Played]

OTHERS: tuple[Format, ...] = ("codex", "opencode", "gemini")
NEVER_END = {("codex", "connection"), ("gemini", "connection"), ("opencode", "context")}

#: The kind of failure, and the recording of the same one.
RECORDED: dict[Format, dict[str, str]] = {
    "codex": {
        "usage_limit": "usage_limit_mid_run", "rate_limit": "rate_limit_429_forever", "context": "context_too_long_400",
        "overloaded": "overloaded_503_forever", "server": "server_500_forever", "auth": "auth_401",
        "billing": "insufficient_quota", "model": "model_404", "refused": "unknown_flag", "lost": "resume_unknown",
    },
    "opencode": {
        "rate_limit": "rate_limit_429_forever", "overloaded": "overloaded_503_forever", "server": "server_500_forever",
        "connection": "connection_refused", "auth": "auth_401", "model": "model_404", "refused": "unknown_flag",
        "lost": "resume_unknown",
    },
    "gemini": {
        "usage_limit": "daily_quota_exhausted", "rate_limit": "rate_limit_429_retry_after_3600",
        "overloaded": "overloaded_503_forever", "server": "server_500_forever", "auth": "forbidden_403",
        "context": "context_too_long_400", "model": "model_404", "max_turns": "max_session_turns_2",
        "refused": "unknown_flag", "lost": "resume_unknown",
    },
}  # fmt: skip
KINDS: list[str] = next(get_args(field.type) for field in msgspec.structs.fields(Fail) if field.name == "kind")
FAILURES = [(format_, kind) for format_ in OTHERS for kind in RECORDED[format_]]


def working(format_: Format) -> Scenario:
    """Every kind of step that ends."""
    return steps(
        Think(text="Hm."),
        Say(text="I will."),
        Read(path="README.md"),
        Edit(path="README.md", find="# tally", replace="# Tally"),
        Edit(path="README.md", find="not there", replace=""),
        Edit(path="none", find="a", replace=""),
        Write(path="new.txt", text="new\n"),
        Write(path="README.md", text="other\n"),
        Run(command="echo out"),
        Run(command="true"),
        Run(command="exit 3"),
        Retry(times=2, status=429),
        Retry(times=1, status=None),
        LimitStep(used=0.97),
        Compact(),
        Deny(tool="Bash", input={"command": "rm x", "description": "Remove it"}),
        Say(text="Done."),
        format_=format_,
    )


def hold(format_: Format, played: Played) -> set[str]:
    """Every line is one that the real agent prints. Returns the kinds of lines that there were."""
    wrong = []
    for kept, lines in ((False, played.lines), (True, played.record)):
        known = shapes.learned(format_, record=kept)
        for line in lines:
            name = shapes.name_of(format_, line)
            if name in {f"tool_use {tool} error" for tool in shapes.GIVEN[format_]}:
                name, line = "tool_use write error", _without_input(line)
            wrong += list(known[name].problems(line, name)) if name in known else [f"no recording has {name}"]
    assert not wrong, "\n".join(wrong)
    assert shapes.in_order(format_, played.lines), shapes.order(format_, played.lines)
    return {shapes.name_of(format_, line) for line in (*played.lines, *played.record)}


def _without_input(line: dict[str, Any]) -> dict[str, Any]:
    state = {**line["part"]["state"], "input": {"filePath": "", "content": ""}}
    return {**line, "part": {**line["part"], "state": state}}


@pytest.mark.parametrize("agent", OTHERS)
def test_the_recordings_are_in_that_order_themselves(agent: str) -> None:
    runs = [(name, lines) for name, lines in shapes.recordings(agent) if "success_json" not in name]
    assert len(runs) >= 40
    assert [name for name, lines in runs if not shapes.in_order(agent, lines)] == []


def test_a_shape_finds_what_is_missing_made_up_or_of_another_type() -> None:
    shape = shapes.Shape()
    for value in ({"a": 1, "b": {"c": "x"}, "models": {"m": {"n": 1}}}, {"a": None, "b": {"c": "y", "d": [1]}}):
        shape.learn(value)
    assert list(shape.problems({"a": 2.5, "b": {"c": ""}, "models": {"other": {"n": 2}}}, "it")) == []
    wrong = list(shape.problems({"a": "1", "b": {"d": ["x"], "e": 0}}, "it"))
    assert wrong == [
        "it.a is text and was null or number",
        "it.b lacks c",
        "it.b.d[] is text and was number",
        "it.b has the made-up e",
    ]
    assert not shapes.in_order("codex", [{"type": "thread.started"}, {"type": "turn.completed"}])
    assert not shapes.in_order("opencode", [{"type": "tool_use", "part": {}}])


@pytest.mark.parametrize(("format_", "kinds"), [("codex", 19), ("opencode", 8), ("gemini", 7)])
def test_every_step_is_told_as_the_real_agent_would(format_: Format, kinds: int, perform: Play) -> None:
    seen = hold(format_, perform(working(format_)))
    assert len(seen) >= kinds, sorted(seen)


@pytest.mark.parametrize("format_", OTHERS)
def test_only_claude_is_played_as_one_that_asks(format_: Format, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"^{format_} asks nothing while it works: only claude does$"):
        find(f"{format_}/ask", tmp_path)
    (tmp_path / "own.yaml").write_text("about: x\nsteps: [{do: run, command: ls, ask: true}, {do: say, text: y}]\n")
    with pytest.raises(UsageError, match="asks nothing while it works"):
        find(f"{format_}/./own.yaml", tmp_path)
    assert find("claude/./own.yaml", tmp_path).format == "claude"


@pytest.mark.parametrize("format_", OTHERS)
@pytest.mark.parametrize("name", [name for name in names() if name != "ask"])
def test_every_scenario_can_be_played_in_every_format(
    format_: Format, name: str, perform: Play, workspace: Path
) -> None:
    scenario = find(f"{format_}/{name}", workspace)
    if name == "overflow" and format_ == "opencode":
        return  # goes round in circles for ever: it has a test of its own
    played = perform(scenario)
    hold(format_, played)
    assert played.outcome.unknown_lines == 0
    assert bool(played.outcome.usage) != (format_ == "gemini" and name == "crash"), "it only tells them at the end"
    ends: dict[str, Failure | None] = {"limit": Failure.RATE_LIMITED, "crash": Failure.CRASHED}
    ends["overflow"] = Failure.CONTEXT_OVERFLOW if format_ == "codex" else Failure.UNKNOWN
    if format_ == "opencode":
        ends["limit"] = None  # it sleeps through it
    assert played.outcome.failure is ends.get(name), played.outcome.reason
    if scenario.resumed and not played.outcome.succeeded:
        again = perform(scenario, played.outcome.session)
        hold(format_, again)
        assert again.outcome.succeeded, again.outcome.reason
        assert again.outcome.session == played.outcome.session


@pytest.mark.parametrize(("format_", "kind"), FAILURES)
def test_each_failure_looks_like_the_recorded_one(format_: Format, kind: Any, perform: Play) -> None:
    """The same lines at the end, the same exit, and so the same class."""
    case = RECORDED[format_][kind]
    expected = replay.table(format_)[case]
    before_anything = kind in ("refused", "lost")
    scenario = steps(*([] if before_anything else [Run(command="true")]), Fail(kind=kind), format_=format_)
    played = perform(scenario, "ses_none" if kind == "lost" else None)
    hold(format_, played)
    assert played.code == expected.exit
    verdict = played.outcome.failure
    assert verdict == expected.verdict, played.outcome.reason
    recording = list(shapes.lines(shapes.TRANSCRIPTS / format_ / f"{case}.jsonl"))
    assert [shapes.name_of(format_, line) for line in played.lines[-1:]] == [
        shapes.name_of(format_, line) for line in recording[-1:]
    ]
    assert (played.outcome.retry_at is not None) == ((format_, kind) == ("codex", "usage_limit"))


def test_every_failure_of_a_format_is_tried_above_or_below(workspace: Path, tmp_path: Path) -> None:
    apart = {"crash", "exit", "hang"}  # any process can end so
    for format_ in OTHERS:
        for kind in set(KINDS) - apart:
            path = tmp_path / "one.yaml"
            path.write_text(f"about: x\nformat: {format_}\nsteps:\n- {{do: fail, kind: {kind}}}\n")
            tried = kind in RECORDED[format_] or (format_, kind) in NEVER_END
            tried |= (format_, kind) in {("opencode", "usage_limit"), ("opencode", "billing")}
            if tried:
                assert find(str(path), workspace).format == format_
            else:
                with pytest.raises(UsageError, match=f"{format_} never fails with '{kind}'; it does with .*crash"):
                    find(str(path), workspace)


def test_opencode_is_not_served_for_want_of_payment(perform: Play) -> None:
    played = perform(steps(Run(command="true"), Fail(kind="billing"), format_="opencode"))
    hold("opencode", played)
    assert (played.code, played.outcome.failure) == (1, Failure.BILLING)


def test_opencode_sleeps_through_a_limit_and_goes_on_by_itself(perform: Play) -> None:
    limited = steps(Run(command="true"), Fail(kind="usage_limit"), format_="opencode", resumed=[Say(text="Over.")])
    played = perform(limited)
    hold("opencode", played)
    assert (played.code, played.outcome.succeeded, played.outcome.result) == (0, True, "Over.")
    for_good = perform(steps(Run(command="true"), Fail(kind="usage_limit"), format_="opencode"))
    assert (for_good.code, for_good.outcome.failure) == (1, Failure.RATE_LIMITED)


@pytest.mark.parametrize("format_", OTHERS)
def test_an_edit_and_a_command_are_real(format_: Format, perform: Play, workspace: Path) -> None:
    played = perform(
        steps(
            Edit(path="README.md", find="# tally", replace="# Tally"),
            Run(command="pwd > here"),
            Say(text="Now it is there."),
            format_=format_,
        )
    )
    assert (workspace / "README.md").read_text().startswith("# Tally")
    assert (workspace / "here").read_text() == f"{workspace}\n"
    edits = [event.path.removeprefix(f"{workspace}/") for event in played.events if isinstance(event, FileEdit)]
    assert edits == ["README.md"]
    assert played.outcome.result == "Now it is there."


def test_codex_denies_in_silence_and_the_others_say_so(perform: Play) -> None:
    denials = [
        perform(steps(Deny(tool="Bash", input={"command": "x", "description": "y"}), Say(text="No."), format_=format_))
        for format_ in OTHERS
    ]
    assert [(played.code, played.outcome.succeeded) for played in denials] == [(0, True)] * 3
    assert [played.outcome.denied for played in denials] == [(), ("bash",), ("run_shell_command",)]
    assert "rejected" in denials[0].stderr


def test_trouble_on_the_way_is_no_end(perform: Play) -> None:
    played = {format_: perform(steps(Retry(times=3), Say(text="ok"), format_=format_)) for format_ in OTHERS}
    assert all(one.outcome.succeeded for one in played.values())
    assert [event.attempt for event in played["codex"].events if isinstance(event, Retrying)] == [1, 2, 3]
    assert [line["type"] for line in played["opencode"].lines] == ["step_start", "text", "step_finish"]
    assert "Attempt 3 failed with status 529" in played["gemini"].stderr


def test_gemini_says_its_prompt_again_and_answers_in_pieces(perform: Play) -> None:
    played = perform(steps(Say(text="one two three"), format_="gemini"))
    assert [line.get("content") for line in played.lines] == [None, "go", "one two ", "three", None]
    assert [event.text for event in played.events if isinstance(event, Text)] == ["one two ", "three"]


def test_only_codex_s_record_knows_of_windows_and_of_a_compaction(perform: Play) -> None:
    scenario = steps(Run(command="true"), LimitStep(used=0.8, window="seven_day"), Compact(after=900), Say(text="ok"))
    played = {format_: perform(_as(scenario, format_)) for format_ in OTHERS}
    limits = {event.window: event.used for event in played["codex"].events if isinstance(event, Limit)}
    assert limits == {"five_hour": 0.21, "seven_day": 0.8}
    assert [type(event) for event in played["codex"].events].count(Compacted) == 1
    for format_ in ("opencode", "gemini"):
        assert not [event for event in played[format_].events if isinstance(event, Limit | Compacted)]
    assert [line["part"].get("synthetic") for line in played["opencode"].lines if line["type"] == "text"] == [
        None, True, None,
    ]  # fmt: skip


def _as(scenario: Scenario, format_: Format) -> Scenario:
    return steps(*scenario.steps, format_=format_)


# Money: what a scenario says is what its bill says, by each format's own way to tell it.

CALLS = steps(Run(command="true", tokens=100), Think(text="Hm.", tokens=30), Say(text="ok", tokens=1_000))


@pytest.mark.parametrize("format_", OTHERS)
def test_the_bill_is_the_scenario_s(format_: Format, perform: Play) -> None:
    """Two calls: the second finds the first's context in the cache, and what the tool said is new to it."""
    (usage,) = perform(_as(CALLS, format_)).outcome.usage
    empty = 40  # of a tool's output
    fresh, cached = 12 + 14_000 + 12 + 100 + empty, 14_000
    tokens = (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens)
    assert tokens == (fresh, 1_130, cached, 0)
    price = round(fresh * 3 + cached * 0.3 + 1_130 * 15)
    assert usage.cost_micros == (price if format_ == "opencode" else None)
    assert usage.model == "rehearsal-1"


@pytest.mark.parametrize("format_", OTHERS)
def test_a_resumed_session_is_not_counted_twice(format_: Format, perform: Play) -> None:
    scenario = _as(CALLS, format_)
    first = perform(scenario)
    runs = [first, perform(scenario, first.outcome.session), perform(scenario, first.outcome.session)]
    assert {played.outcome.session for played in runs} == {first.outcome.session}
    used = [played.outcome.usage[0] for played in runs]
    assert [usage.output_tokens for usage in used] == [1_130] * 3
    assert all(usage.input_tokens < used[0].input_tokens / 2 for usage in used[1:]), "the history is in the cache"
    if format_ == "codex":
        totals = [played.lines[-1]["usage"] for played in runs]
        for key in ("input_tokens", "cached_input_tokens", "output_tokens"):
            assert totals[0][key] < totals[1][key] < totals[2][key]
        assert totals[2]["output_tokens"] == 3 * 1_130
        assert totals[2]["input_tokens"] == sum(usage.input_tokens + usage.cache_read_tokens for usage in used)


def test_codex_has_told_its_record_what_a_killed_turn_used(perform: Play) -> None:
    played = perform(steps(Run(command="true", tokens=100), Fail(kind="crash"), format_="codex"))
    assert played.code == -9
    assert [usage.output_tokens for usage in played.outcome.usage] == [100]


# Sessions.


@pytest.mark.parametrize(("format_", "code", "words"), [
    ("codex", 1, "no rollout found for thread id"), ("opencode", 1, "Session not found"), ("gemini", 42, "No previous"),
])  # fmt: skip
def test_an_unknown_session_is_said_on_standard_error_alone(
    format_: Format, code: int, words: str, perform: Play
) -> None:
    played = perform(steps(Say(text="ok"), format_=format_), str(uuid4()))
    assert (played.code, played.lines) == (code, [])
    assert words in played.stderr
    assert played.outcome.failure is Failure.CONTEXT_LOST


def test_another_directory_is_nothing_to_codex_and_another_project_to_gemini(
    perform: Play, tmp_path: Path, workspace: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for format_, expected in (("codex", None), ("gemini", Failure.CONTEXT_LOST)):
        scenario = steps(Say(text="ok"), format_=format_)  # type: ignore[arg-type]
        session = perform(scenario).outcome.session
        assert run(scenario, elsewhere, tmp_path, session).outcome.failure is expected


def test_opencode_in_another_directory_prints_nothing_and_never_ends(perform: Play, tmp_path: Path) -> None:
    scenario = steps(Write(path="done", text=""), Say(text="ok"), format_="opencode")
    session = perform(scenario).outcome.session
    elsewhere = tmp_path / "elsewhere"
    (elsewhere).mkdir()
    process = subprocess.Popen(
        command(scenario, tmp_path, session), cwd=elsewhere, env=environment(), stdout=subprocess.PIPE
    )
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=1.5)
    process.kill()
    out, _ = process.communicate()
    assert out == b""
    assert (elsewhere / "done").exists(), "it has worked all the same"


def test_gemini_refuses_a_session_id_that_is_in_use(workspace: Path, tmp_path: Path) -> None:
    scenario, session = steps(Say(text="ok"), format_="gemini"), str(uuid4())
    assert run(scenario, workspace, tmp_path, None, session).code == 0
    again = run(scenario, workspace, tmp_path, None, session)
    assert (again.code, again.lines) == (42, [])


# Signals, as the runner sends them.


@pytest.fixture
def held(workspace: Path, tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[bytes], int]]]:
    """Starts an agent and waits until it is in a command that keeps a pipe open."""
    begun: list[tuple[subprocess.Popen[bytes], int, int]] = []

    def start(format_: Format, resumes: str | None = None, **more: Any) -> tuple[subprocess.Popen[bytes], int]:
        fifo = tmp_path / f"held-{len(begun)}"
        os.mkfifo(fifo)
        scenario = steps(
            Run(command=f"exec 9>'{fifo}'; echo $$ >&9; sleep 300; true"), Say(text="ok"), format_=format_, **more
        )
        process = subprocess.Popen(
            command(scenario, tmp_path, resumes),
            cwd=workspace,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        reader = os.open(fifo, os.O_RDONLY)
        begun.append((process, reader, int(os.read(reader, 20))))
        return process, reader

    yield start
    for process, reader, session in begun:
        os.close(reader)
        process.kill()
        process.communicate()
        with suppress(ProcessLookupError):
            os.killpg(session, signal.SIGKILL)


@pytest.mark.parametrize(
    ("format_", "number", "case", "takes_along"),
    [
        ("codex", signal.SIGTERM, "in_tool_sigterm", False),
        ("codex", signal.SIGINT, "in_tool_sigint", True),
        ("opencode", signal.SIGTERM, "in_tool_sigterm", False),
        ("opencode", signal.SIGINT, "in_tool_sigint", False),
        ("gemini", signal.SIGTERM, "hang_sigterm_no_relaunch", False),
    ],
)
def test_a_signal_in_a_tool(
    format_: Format, number: int, case: str, takes_along: bool, held: Callable[..., tuple[subprocess.Popen[bytes], int]]
) -> None:
    process, reader = held(format_)
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    code = process.returncode
    assert (code if code >= 0 else 128 - code) == replay.table(format_)[case].exit
    played = told(format_, code, out, b"")
    hold(format_, played)
    assert played.outcome.failure is Failure.CRASHED
    if takes_along:
        assert os.read(reader, 1) == b""
    else:
        os.set_blocking(reader, False)
        with pytest.raises(BlockingIOError):
            os.read(reader, 1)


@pytest.mark.parametrize("format_", ["claude", *OTHERS])
def test_a_deaf_one_goes_on(format_: Format, held: Callable[..., tuple[subprocess.Popen[bytes], int]]) -> None:
    process, reader = held(format_, deaf=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        process.send_signal(number)
    os.set_blocking(reader, False)
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.3)


def test_codex_lets_one_writer_at_a_time_into_a_thread(
    perform: Play, held: Callable[..., tuple[subprocess.Popen[bytes], int]]
) -> None:
    scenario = steps(Say(text="ok"), format_="codex")
    session = perform(scenario).outcome.session
    held("codex", session)
    second = perform(scenario, session)
    assert (second.code, second.lines) == (1, [])
    assert "already has an active writer" in second.stderr


def test_two_in_a_session_of_opencode_go_round_in_circles(
    perform: Play, held: Callable[..., tuple[subprocess.Popen[bytes], int]], workspace: Path, tmp_path: Path
) -> None:
    scenario = steps(Say(text="ok"), format_="opencode")
    session = perform(scenario).outcome.session
    held("opencode", session)
    assert _circles(scenario, workspace, tmp_path, session).outcome.failure is Failure.CONTEXT_LOST


def test_a_context_that_never_fits_is_shortened_for_ever(workspace: Path, tmp_path: Path) -> None:
    scenario = steps(Run(command="true"), Fail(kind="context"), format_="opencode")
    assert _circles(scenario, workspace, tmp_path, None).outcome.failure is Failure.CONTEXT_OVERFLOW


def _circles(scenario: Scenario, workspace: Path, tmp_path: Path, session: str | None) -> Played:
    """What is read of one that never ends, killed after some rounds."""
    process = subprocess.Popen(
        command(scenario, tmp_path, session), cwd=workspace, env=environment(), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    out = b""
    while out.count(b'"step_finish"') < 6:
        out += process.stdout.readline()
    process.kill()
    process.communicate()
    played = told("opencode", -9, out, b"")
    hold("opencode", played)
    return played


@pytest.mark.parametrize("format_", ["codex", "gemini"])
def test_without_a_network_they_wait_for_ever(format_: Format, workspace: Path, tmp_path: Path) -> None:
    scenario = steps(Run(command="true"), Fail(kind="connection"), format_=format_)
    process = subprocess.Popen(
        command(scenario, tmp_path), cwd=workspace, env=environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    noisy = process.stdout if format_ == "codex" else process.stderr
    assert noisy is not None
    words, out = b"", b""
    while b"waiting for network" not in words and b"fetch failed" not in words:
        out += (words := noisy.readline())
    assert process.poll() is None
    process.kill()
    rest, _ = process.communicate()
    assert b"turn.failed" not in out + rest and b'"result"' not in out + rest


def test_a_file_names_its_format_and_a_prefix_overrules_it(tmp_path: Path, workspace: Path) -> None:
    (tmp_path / "mine.yaml").write_text("about: x\nformat: gemini\nsteps:\n- {do: say, text: Here.}\n")
    assert read(tmp_path / "mine.yaml").format == "gemini"
    assert find("mine.yaml", tmp_path).format == "gemini"
    assert find("opencode/mine.yaml", tmp_path).format == "opencode"
    assert find(f"codex/{tmp_path}/mine.yaml", workspace).format == "codex"
    (tmp_path / "codex").mkdir()
    (tmp_path / "codex" / "fix-bug.yaml").write_text("about: x\nsteps:\n- {do: say, text: Here.}\n")
    assert find("./codex/fix-bug.yaml", tmp_path).about == "x"


@pytest.mark.parametrize("format_", ["claude", *OTHERS])
def test_a_file_s_output_is_read_by_the_parser_of_its_format(format_: Format, perform: Play) -> None:
    """The adapter is told the name alone, and a file may have gone: the first line tells."""
    played = perform(steps(Run(command="true"), Say(text="Here."), format_=format_))
    parser = Rehearsal().parser(model="mine.yaml")
    assert not parser.said_done
    for line in played.lines:
        parser.line(json.dumps(line).encode())
    for line in played.record:
        parser.record(json.dumps(line).encode())
    outcome = parser.outcome(Exit(0), "")
    assert outcome == played.outcome
    assert parser.said_done


@pytest.mark.parametrize("format_", ["claude", *OTHERS])
def test_it_has_one_version_whatever_it_plays(format_: Format, perform: Play) -> None:
    """A session of another version is given up."""
    played = perform(steps(Say(text="ok"), format_=format_))
    version = subprocess.run(Rehearsal().version_command(AgentSettings()), capture_output=True, text=True).stdout
    told = {event.agent_version for event in played.events if isinstance(event, Started)} - {None}
    assert told == ({version.split()[0]} if format_ in ("claude", "codex") else set())
