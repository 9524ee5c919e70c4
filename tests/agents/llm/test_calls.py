"""Whole calls: real processes with the real client libraries, against a service on loopback."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from engine.agents.base import RESULT_LIMIT
from engine.agents.events import Limit, Result, Retrying, Started
from engine.config import AgentSettings
from engine.model import Failure, Grade, Target
from engine.money import Entry
from engine.spend.prices import Prices
from engine.window import UNNAMED
from tests.agents.llm.asking import APIS, KEY, PROVIDERS, call, launch, settings
from tests.agents.llm.service import CACHED, INPUT, OUTPUT, THOUGHT, Step, free_port, service

ANSWER = "Hello there.\n" * 60
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}

LIMITS = {
    "messages": {"anthropic-ratelimit-tokens-limit": "100", "anthropic-ratelimit-tokens-remaining": "40"},
    "responses": {"x-ratelimit-limit-tokens": "100", "x-ratelimit-remaining-tokens": "40"},
    "chat": {"x-ratelimit-limit-tokens": "100", "x-ratelimit-remaining-tokens": "40"},
}


@pytest.mark.parametrize("api", APIS)
def test_an_answer_is_told_as_it_comes_and_stands_whole(api: str, tmp_path: Path) -> None:
    with service(Step(ANSWER, thinking="Let me see.", headers=LIMITS.get(api, {}))) as one:
        done = call(api, settings(api, one.url, max_tokens=500, temperature=0.5), tmp_path, system="Be brief.")
    assert done.outcome.succeeded, done.outcome
    assert (done.text, done.thinking) == (ANSWER, "Let me see.")
    assert done.outcome.result == ANSWER.strip()
    assert (tmp_path / "answer.txt").read_text() == ANSWER
    assert len([event for event in done.events if event.__class__.__name__ == "Text"]) < 10, "in pieces worth reading"
    assert isinstance(done.events[0], Started)
    assert done.events[0].model == PROVIDERS[api]
    assert isinstance(done.events[-1], Result)
    if api in LIMITS:
        assert Limit("tokens", "allowed", 0.6, None, model=PROVIDERS[api], signal="headers") in done.events
    (usage,) = done.outcome.usage
    assert (usage.input_tokens, usage.cache_read_tokens) == (INPUT, CACHED), "cached tokens apart"
    assert usage.output_tokens == OUTPUT + (THOUGHT if api == "gemini" else 0)
    entry = Entry(message="/call", usage=usage)
    (priced,) = Prices().priced([entry], Target("llm", PROVIDERS[api]))
    known = priced.usage.grade
    assert known is (Grade.UNKNOWN if api == "chat" else Grade.COMPUTED), "nobody knows what a local one costs"
    assert (priced.usage.cost_micros is None) is (api == "chat")
    assert done.stderr == ""
    assert KEY.encode() not in done.stdout
    _, headers, body = one.seen[0]
    assert KEY in str(headers)
    asked = json.dumps(body)
    assert "Be brief." in asked
    assert "500" in asked
    assert "0.5" in asked


@pytest.mark.parametrize("api", APIS)
def test_a_schema_is_asked_for_in_the_providers_own_way(api: str, tmp_path: Path) -> None:
    with service(Step('{"n": 3}')) as one:
        done = call(api, settings(api, one.url), tmp_path, schema=SCHEMA)
    assert done.outcome.succeeded, done.outcome
    assert json.loads((tmp_path / "answer.json").read_text()) == {"n": 3}
    assert "additionalProperties" in json.dumps(one.seen[0][2])


def test_an_answer_that_is_not_as_its_schema_says_does_not_count(tmp_path: Path) -> None:
    with service(Step('{"n": "three"}')) as one:
        done = call("chat", settings("chat", one.url), tmp_path, schema=SCHEMA)
    assert done.outcome.failure is Failure.BAD_OUTPUT
    assert "n: 'three' is not of type 'integer'" in (done.outcome.reason or "")
    assert done.outcome.usage, "it is paid for all the same"
    assert (tmp_path / "answer.txt").read_text() == '{"n": "three"}'


OVERLOADED: dict[str, Any] = {
    "messages": {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    "responses": {"type": "error", "code": "server_is_overloaded", "message": "Overloaded", "sequence_number": 2},
    "chat": {"error": {"message": "Overloaded", "code": "overloaded"}},
    "gemini": {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}},
}


@pytest.mark.parametrize("api", APIS)
def test_an_error_in_mid_stream_is_no_answer(api: str, tmp_path: Path) -> None:
    with service(Step("Half of this is all that comes.", instead="error", error=OVERLOADED[api])) as one:
        done = call(api, settings(api, one.url), tmp_path)
    assert done.outcome.failure is Failure.OVERLOADED, done.outcome
    assert "verloaded" in (done.outcome.reason or "")
    assert "Half of this".startswith((done.outcome.result or "x")[:12])
    assert len(one.seen) == 1, "an answer that has begun is not asked for again here"


@pytest.mark.parametrize(
    ("api", "instead"), [("chat", "drop"), ("chat", "end"), ("gemini", "drop"), ("messages", "garbage")]
)
def test_a_stream_that_breaks_off_is_no_answer(api: str, instead: str, tmp_path: Path) -> None:
    with service(Step("Half of this is all that comes.", instead=instead)) as one:
        done = call(api, settings(api, one.url), tmp_path)
    assert done.outcome.failure is Failure.OVERLOADED, done.outcome
    assert ("broke" in (done.outcome.reason or "")) is (instead != "garbage")
    assert done.stderr == ""


REFUSALS: list[tuple[str, Step, Failure]] = [
    (
        "messages",
        Step(
            status=429,
            body={"type": "error", "error": {"type": "rate_limit_error", "message": "Too fast."}},
            headers={"retry-after": "30", "anthropic-ratelimit-requests-limit": "5",
                     "anthropic-ratelimit-requests-remaining": "0"},
        ),
        Failure.RATE_LIMITED,
    ),
    (
        "chat",
        Step(
            status=429,
            body={"error": {"message": "Too fast.", "type": "requests", "code": "rate_limit_exceeded"}},
            headers={"x-ratelimit-limit-requests": "5", "x-ratelimit-remaining-requests": "0",
                     "x-ratelimit-reset-requests": "30s"},
        ),
        Failure.RATE_LIMITED,
    ),
    (
        "gemini",
        Step(
            status=429,
            body={"error": {"code": 429, "message": "Too fast.", "status": "RESOURCE_EXHAUSTED", "details": [
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "30s"}]}},
        ),
        Failure.RATE_LIMITED,
    ),
    (
        "messages",
        Step(status=529, body={"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        Failure.OVERLOADED,
    ),
    (
        "responses",
        Step(status=429, body={"error": {"message": "Pay.", "type": "insufficient_quota",
                                         "code": "insufficient_quota"}}),
        Failure.BILLING,
    ),
    (
        "responses",
        Step(status=400, body={"error": {"message": "Too long.", "code": "context_length_exceeded"}}),
        Failure.CONTEXT_OVERFLOW,
    ),
    (
        "gemini",
        Step(status=400, body={"error": {"code": 400, "status": "INVALID_ARGUMENT", "message":
             "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."}}),
        Failure.CONTEXT_OVERFLOW,
    ),
    (
        "chat",
        Step(status=401, body={"error": {"message": f"Incorrect API key provided: {KEY}", "code": "invalid_api_key"}}),
        Failure.AUTH,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("api", "step", "failure"), REFUSALS)
def test_a_refusal_has_its_class_at_once(api: str, step: Step, failure: Failure, tmp_path: Path) -> None:
    before = round(time.time() * 1_000)
    with service(step) as one:
        done = call(api, settings(api, one.url), tmp_path)
    assert done.outcome.failure is failure, done.outcome
    assert len(one.seen) == 1, "the engine owns the retries"
    assert KEY not in done.stdout.decode() + done.stderr
    if failure is Failure.RATE_LIMITED:
        assert before + 30_000 <= (done.outcome.retry_at or 0) <= round(time.time() * 1_000) + 30_000
        (seen,) = [event for event in done.events if isinstance(event, Limit)]
        assert seen.status == "rejected"
        if api == "gemini":
            assert (seen.window, seen.resets_at) == (UNNAMED, done.outcome.retry_at), "it names no window"
    else:
        assert done.outcome.retry_at is None


def test_a_passing_error_at_the_start_is_tried_again_and_told(tmp_path: Path) -> None:
    with service(Step(status=500, body={"error": {"message": "Sorry."}}), Step("Here.")) as one:
        done = call("chat", settings("chat", one.url), tmp_path)
    assert done.outcome.succeeded
    assert len(one.seen) == 2
    (retrying,) = [event for event in done.events if isinstance(event, Retrying)]
    assert (retrying.attempt, retrying.status) == (1, 500)


def test_nobody_there_is_a_provider_that_does_not_serve(tmp_path: Path) -> None:
    done = call("chat", settings("chat", f"http://127.0.0.1:{free_port()}"), tmp_path)
    assert done.outcome.failure is Failure.OVERLOADED
    assert "no connection" in (done.outcome.reason or "")
    assert len([event for event in done.events if isinstance(event, Retrying)]) == 2


@pytest.mark.parametrize(("api", "text"), [("messages", "Some of it, and then"), ("gemini", ""), ("chat", "")])
def test_silence_ends(api: str, text: str, tmp_path: Path) -> None:
    with service(Step(text, instead="hang")) as one:
        done = call(api, settings(api, one.url, idle="1s"), tmp_path)
    assert done.outcome.failure is Failure.TIMEOUT, done.outcome
    assert "sent nothing for 1 s" in (done.outcome.reason or "")


@pytest.mark.parametrize(
    ("api", "step", "said"),
    [
        ("messages", Step("No.", stop="refusal"), "refused"),
        ("responses", Step("Half", stop="max_output_tokens"), "cut at max_tokens"),
        ("chat", Step("Half", stop="length"), "cut at max_tokens"),
        ("chat", Step("", refusal="I cannot help with that."), "I cannot help"),
        ("gemini", Step("Half", stop="SAFETY"), "SAFETY"),
        ("gemini", Step(refusal="PROHIBITED_CONTENT"), "PROHIBITED_CONTENT"),
        ("chat", Step(""), "empty"),
    ],
)
def test_what_is_no_whole_answer_is_none(api: str, step: Step, said: str, tmp_path: Path) -> None:
    with service(step) as one:
        done = call(api, settings(api, one.url), tmp_path)
    assert done.outcome.failure is Failure.BAD_OUTPUT, done.outcome
    assert said in (done.outcome.reason or "")
    assert done.outcome.usage


def test_the_whole_of_a_long_answer_is_kept(tmp_path: Path) -> None:
    text = "word " * 4_000 + "end"
    with service(Step(text)) as one:
        done = call("chat", settings("chat", one.url), tmp_path)
    assert len(done.outcome.result or "") <= RESULT_LIMIT
    assert (tmp_path / "answer.txt").read_text() == done.text == text


def test_without_a_key_nobody_is_asked(tmp_path: Path) -> None:
    with service(Step("no")) as one:
        done = call("responses", settings("responses", one.url), tmp_path, key=None)
    assert done.outcome.failure is Failure.AUTH
    assert "OPENAI_API_KEY" in (done.outcome.reason or "")
    assert not one.seen


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    """A Python that has Headway and not the client libraries."""
    started = launch("chat", AgentSettings(), tmp_path, model="ollama/x")
    (tmp_path / "call.json").write_bytes(started.files["call.json"])
    hide = "import sys; sys.modules['openai'] = None; from engine.agents.llm.call import main; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", hide, str(tmp_path / "call.json")], capture_output=True, timeout=60, check=False
    )
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["failure"] == "spawn_failed"
    assert "pip install 'headway[llm]'" in json.loads(line)["message"]


def test_a_schema_that_is_none_is_said_before_anybody_is_asked(tmp_path: Path) -> None:
    with service(Step("no")) as one:
        done = call("chat", settings("chat", one.url), tmp_path, schema={"type": "text"})
    assert done.outcome.failure is Failure.SPAWN_FAILED
    assert "no JSON Schema" in (done.outcome.reason or "")
    assert not one.seen


def test_one_that_is_stopped_has_said_what_it_paid(tmp_path: Path) -> None:
    """What the provider counts at the start of an answer is known, whatever becomes of the process."""
    from engine.agents.base import Exit
    from engine.agents.llm.agent import Llm

    with service(Step("Some of it, and then", instead="hang")) as one:
        started = launch("messages", settings("messages", one.url), tmp_path)
        (tmp_path / "call.json").write_bytes(started.files["call.json"])
        process = subprocess.Popen(list(started.argv), env={"ANTHROPIC_API_KEY": KEY}, stdout=subprocess.PIPE)
        assert process.stdout is not None
        parser = Llm().parser()
        while b'"usage"' not in (line := process.stdout.readline()):
            assert line, "it ended before it told"
            parser.line(line)
        parser.line(line)
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        process.stdout.close()
    outcome = parser.outcome(Exit(128 - code), "")
    assert outcome.failure is Failure.CRASHED
    assert outcome.usage[0].input_tokens == INPUT
