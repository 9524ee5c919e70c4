"""Every recording of codex, gemini and opencode, and what bytes of any kind do to their adapters."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.agents.base import Agent, Exit
from engine.agents.events import Unknown
from engine.agents.registry import agents
from engine.runner.follow import LINE_BYTES, Lines
from tests.agents import replay

NAMES = ("codex", "gemini", "opencode")
TABLES = {name: replay.table(name) for name in NAMES}
ALL = [(name, case) for name in NAMES for case in TABLES[name]]


@pytest.mark.parametrize("name", NAMES)
def test_every_recording_is_in_the_table(name: str) -> None:
    there = {path.stem for path in (replay.TRANSCRIPTS / name).glob("*.jsonl") if not path.stem.endswith(".rollout")}
    assert there == set(TABLES[name])
    assert len(there) >= {"codex": 65, "gemini": 43, "opencode": 55}[name]


@pytest.mark.parametrize(("name", "case"), ALL)
def test_it_means_what_the_table_says(name: str, case: str) -> None:
    replay.holds(agents()[name], TABLES[name][case])


#: What a diff, a log or an answer may say without any of it being true of the run.
PROSE = (
    "rate limit exceeded", "You've hit your usage limit. Try again at 9:38 AM.", "529", "status 429 Too Many Requests",
    "Reconnecting... 1/5", "401 Unauthorized", "hit your limit", "Session not found", "Loop detected",
    '{"type":"turn.failed","error":{"message":"usage_limit_exceeded"}}',
    "The user rejected permission to use this specific tool call.", "+    raise RateLimitError(429)",
)  # fmt: skip


@pytest.mark.parametrize("words", PROSE)
@pytest.mark.parametrize(
    ("name", "case"), [("codex", "tool_edit_workspace_write"), ("gemini", "tool_edit_yolo"), ("opencode", "tool_edit")]
)
def test_prose_changes_no_state(name: str, case: str, words: str) -> None:
    """Everything that the model or a tool wrote says it: the verdict is the one of the plain run."""
    agent, expected = agents()[name], TABLES[name][case]
    plain_events, _, plain = replay.play(agent, expected)
    parser = agent.parser(model=replay.MODEL)
    lines = [json.dumps(_says(json.loads(line), words)).encode() for line in replay.recorded(name, case)]
    events = [event for line in lines for event in parser.line(line)]
    outcome = parser.outcome(Exit(expected.exit), words)
    assert [type(event) for event in events] == [type(event) for event in plain_events]
    assert (outcome.succeeded, outcome.failure, outcome.retry_at, outcome.denied) == (True, None, None, ())
    assert (outcome.usage, outcome.session, outcome.unknown_lines) == (plain.usage, plain.session, 0)
    assert outcome.reason is None
    assert outcome.result == words


_PROSE_KEYS = ("text", "content", "output", "aggregated_output", "command", "oldString", "newString")


def _says(value: object, words: str) -> object:
    if isinstance(value, dict):
        return {
            key: words if key in _PROSE_KEYS and isinstance(part, str) else _says(part, words)
            for key, part in value.items()
        }
    return [_says(part, words) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("name", "case"), [pair for pair in ALL if TABLES[pair[0]][pair[1]].verdict != "succeeded"])
def test_standard_error_never_decides(name: str, case: str) -> None:
    agent, expected = agents()[name], TABLES[name][case]
    parser = agent.parser(model=replay.MODEL, resumed=expected.resumed)
    for line in replay.recorded(name, case):
        parser.line(line)
    for line in replay.recorded(name, case, "rollout.jsonl"):
        parser.record(line)
    for tail in ("", *PROSE):
        assert parser.outcome(Exit(expected.exit), tail).failure == expected.verdict


LINES = {
    name: sorted({
        line
        for kind in ("jsonl", "rollout.jsonl")
        for case in TABLES[name]
        for line in replay.recorded(name, case, kind)
        if len(line) < 4_000
    })
    for name in NAMES
}  # fmt: skip
KEYS = sorted({key for name in NAMES for line in LINES[name] if line.startswith(b'{"t') for key in json.loads(line)})
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(KEYS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=3),
    max_leaves=8,
)


def _parser(name: str, resumed: bool) -> replay.Parser:
    return agents()[name].parser(model=replay.MODEL, resumed=resumed)


@given(st.sampled_from(NAMES), st.booleans(), st.lists(st.binary(max_size=300), max_size=5), st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_without_an_error(name: str, resumed: bool, lines: list[bytes], code: int) -> None:
    replay.survives(_parser(name, resumed), lines, code)


@given(st.sampled_from(NAMES), st.data(), st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_a_line_cut_or_damaged_anywhere_is_read_without_an_error(name: str, data: st.DataObject, code: int) -> None:
    line = data.draw(st.sampled_from(LINES[name]))
    at = data.draw(st.integers(0, len(line)))
    damaged = line[:at] + data.draw(st.binary(max_size=4)) + line[at + data.draw(st.integers(0, 4)) :]
    replay.survives(_parser(name, resumed=False), [line[:at], damaged, line], code)


@given(st.sampled_from(NAMES), st.data(), JUNK, st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_a_value_of_the_wrong_type_anywhere_is_read_without_an_error(
    name: str, data: st.DataObject, junk: object, code: int
) -> None:
    line = data.draw(st.sampled_from([one for one in LINES[name] if one.startswith(b'{"t')]))
    path = data.draw(st.lists(st.integers(0, 60), min_size=1, max_size=6))
    wrong = json.dumps(_replaced(json.loads(line), path, junk)).encode()
    replay.survives(_parser(name, resumed=True), [wrong], code)


def _replaced(value: object, path: list[int], junk: object) -> object:
    """`value` with `junk` in the place to which `path` leads."""
    if not path or not isinstance(value, dict | list) or not value:
        return junk
    if isinstance(value, list):
        at = path[0] % len(value)
        return [_replaced(part, path[1:], junk) if n == at else part for n, part in enumerate(value)]
    key = list(value)[path[0] % len(value)]
    return {**value, key: _replaced(value[key], path[1:], junk)}


@pytest.mark.parametrize("size", [1, 7, 64, 4_096])
@pytest.mark.parametrize(
    ("name", "case"),
    [("codex", "tools_30_turns"), ("gemini", "tool_edit_yolo"), ("opencode", "compact_auto")],
)
def test_a_stream_split_anywhere_means_the_same(name: str, case: str, size: int) -> None:
    """Down to single bytes, and with half a line at its end."""
    expected = TABLES[name][case]
    data = b"\n".join(replay.recorded(name, case))  # no newline behind the last line
    lines, parser = Lines(), agents()[name].parser(model=replay.MODEL)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    whole = [line for piece in pieces for line, _ in lines.feed(piece)] + [line for line, _ in lines.rest()]
    events = [event for line in whole for event in parser.line(line)]
    plain_events, _, plain = replay.play(agents()[name], expected)
    assert events == plain_events
    again = parser.outcome(Exit(expected.exit), "")
    assert (again.succeeded, again.session, again.result) == (plain.succeeded, plain.session, plain.result)


HUGE = {
    "codex": '{"type":"item.completed","item":{"id":"a","type":"command_execution","aggregated_output":"%s"}}',
    "gemini": '{"type":"tool_result","tool_id":"a","status":"success","output":"%s"}',
    "opencode": '{"type":"text","sessionID":"s","part":{"type":"text","text":"%s"}}',
}


@pytest.mark.parametrize("name", NAMES)
def test_a_huge_line_a_deep_one_and_half_a_character_are_read_or_counted(name: str) -> None:
    parser = agents()[name].parser()
    big = (HUGE[name] % ("x" * 10_000_000)).encode()
    assert len(big) < LINE_BYTES
    assert parser.line(big)
    assert parser.line((HUGE[name] % r"cut \ud83d").encode()) and parser.line(
        (HUGE[name] % "cut ").encode()[:-4] + b"\xff"
    )
    assert isinstance(parser.line(b'{"type":' + b"[" * 100_000)[0], Unknown)
    assert isinstance(parser.line(b"[" * 1_000_000)[0], Unknown)
    assert parser.outcome(Exit(1), "").unknown_lines >= 2


@pytest.mark.parametrize(
    ("name", "thousands"),
    [("codex", 100), ("gemini", 100), ("opencode", 100), pytest.param("codex", 1_000, marks=pytest.mark.long)],
)
def test_a_flood_takes_no_memory(name: str, thousands: int) -> None:
    """Up to a million lines: most of them unknown, the others such as an agent repeats. What is held does not grow."""
    parser = agents()[name].parser()
    known = replay.recorded(name, {"codex": "usage_limit_mid_run"}.get(name, "tools_30_turns"))
    block = [b'{"type":"of a later version","n":%d}' % n for n in range(1_000)]
    tracemalloc.start()
    for line in known:
        parser.line(line)
    before, _ = tracemalloc.get_traced_memory()
    for n in range(thousands):
        for line in block:
            parser.line(line)
        if n % 50 == 0:
            for line in known:
                parser.line(line)
        if n == 20:
            tracemalloc.reset_peak()
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 200_000
    assert peak - before < 2_000_000
    assert parser.outcome(Exit(1), "").unknown_lines == thousands * 1_000


def test_an_agent_of_its_own_has_a_package_and_a_name_for_its_program() -> None:
    own = {name: agent for name, agent in agents().items() if agent.package}
    assert set(own) == {"claude", *NAMES}
    assert all(isinstance(agent, Agent) and agent.resumable and agent.provider for agent in own.values())
