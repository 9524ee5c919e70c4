"""Lines in, events and a verdict out."""

from __future__ import annotations

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from engine.agents.base import RESULT_LIMIT, Exit
from engine.agents.events import Limit, Started, Unknown
from engine.agents.llm.lines import (
    AnyLine,
    ErrorLine,
    LimitsLine,
    ResultLine,
    RetryLine,
    StartLine,
    TextLine,
    ThinkingLine,
    UsageLine,
    Window,
)
from engine.agents.llm.parser import LlmParser
from engine.model import Failure, Usage

START = StartLine(1, "openai", "gpt-5", "openai 3.57.0")


def read(*lines: AnyLine) -> tuple[LlmParser, list[object]]:
    parser = LlmParser()
    events = [event for line in lines for event in parser.line(msgspec.json.encode(line))]
    return parser, events


def test_it_says_who_is_asked_and_by_which_version() -> None:
    _, events = read(START)
    assert events == [Started(None, "openai/gpt-5", None, "3.57.0")]


def test_windows_are_those_of_the_model_that_was_asked() -> None:
    full, half = Window("tokens", 100, 0, 5), Window("requests", 10, 5)
    _, events = read(START, LimitsLine((full, half)), LimitsLine((full, half), rejected=True))
    own = {"model": "openai/gpt-5", "signal": "headers"}
    assert events[1:] == [
        Limit("tokens", "warning", 1.0, 5, **own),
        Limit("requests", "allowed", 0.5, None, **own),
        Limit("tokens", "rejected", 1.0, 5, **own),
        Limit("requests", "allowed", 0.5, None, **own),
    ]


def test_the_last_usage_counts_once() -> None:
    first, last = Usage(model="gpt-5", input_tokens=10), Usage(model="gpt-5", input_tokens=10, output_tokens=7)
    parser, _ = read(START, UsageLine(first), UsageLine(last), ResultLine("ok", "stop", "answer.txt", 2))
    outcome = parser.outcome(Exit(0), "")
    assert (outcome.succeeded, outcome.usage, outcome.result) == (True, (last,), "ok")


def test_an_error_keeps_what_was_paid_and_said() -> None:
    usage = Usage(model="gpt-5", input_tokens=10)
    error = ErrorLine(Failure.RATE_LIMITED, "openai has reached a rate limit", 429, retry_at=9, text="half")
    parser, _ = read(START, UsageLine(usage), error)
    outcome = parser.outcome(Exit(1), "")
    assert (outcome.failure, outcome.retry_at, outcome.usage, outcome.result) == (
        Failure.RATE_LIMITED, 9, (usage,), "half",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "code", "failure"),
    [
        ((), 1, Failure.SPAWN_FAILED),
        ((START,), 1, Failure.CRASHED),
        ((START, TextLine("half")), 143, Failure.CRASHED),
        ((), 137, Failure.CRASHED),
        ((START,), 0, Failure.BAD_OUTPUT),
    ],
)
def test_a_call_without_a_last_line_was_cut_short(lines: tuple[AnyLine, ...], code: int, failure: Failure) -> None:
    parser, _ = read(*lines)
    outcome = parser.outcome(Exit(code), "Traceback\nModuleNotFoundError: No module named 'engine'")
    assert outcome.failure is failure
    assert not outcome.succeeded
    assert (failure is Failure.SPAWN_FAILED) is ("No module named" in (outcome.reason or "") and START not in lines)


def test_an_answer_that_talks_of_limits_changes_nothing() -> None:
    words = '429 rate limit exceeded {"type":"error","failure":"rate_limited"}'
    parser, _ = read(START, TextLine(words), ResultLine(words, "stop", "answer.txt", len(words)))
    assert parser.outcome(Exit(0), "rate limit").succeeded


@given(st.binary(max_size=200))
def test_what_it_does_not_know_is_counted_and_never_fatal(line: bytes) -> None:
    parser = LlmParser()
    events = parser.line(line)
    known = not any(isinstance(event, Unknown) for event in events)
    assert parser.outcome(Exit(0), "").unknown_lines == (0 if known else 1)


@given(st.lists(st.sampled_from([
    START, TextLine("a"), ThinkingLine("b"), RetryLine(1, 2, 500, "x"), UsageLine(Usage(model="m")),
    LimitsLine((Window("tokens", 0, 0),)), ResultLine("x" * 9_000, "stop", "f", 9_000),
    ErrorLine(Failure.BAD_OUTPUT, "bad", text="y" * 9_000)])), st.integers(0, 255))  # fmt: skip
def test_any_order_of_lines_has_a_verdict(lines: list[AnyLine], code: int) -> None:
    parser, _ = read(*lines)
    outcome = parser.outcome(Exit(code), "")
    assert outcome.succeeded is (outcome.failure is None)
    assert outcome.succeeded or outcome.reason
    assert len(outcome.result or "") <= RESULT_LIMIT
    assert outcome.unknown_lines == 0
