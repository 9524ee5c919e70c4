"""What is read off answers: windows, refusals, tokens; whatever comes, in whatever pieces."""

from __future__ import annotations

import gzip
import json
import zlib
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from engine.agents.base import Outcome
from engine.agents.events import Limit
from engine.model import Failure, Usage
from engine.tap.framing import Body, Chunks, FramingError, Head
from engine.tap.reading import AGAIN_MS, STEP, Fresh, Refusal, broken_off, decoded, headers_of, refused, windows
from engine.tap.usage import LINE_BYTES, UsageReader
from engine.tap.verdict import with_refusal

NOW = 1_760_000_000_000
SSE, JSON = b"text/event-stream; charset=utf-8", b"application/json"

ANTHROPIC = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","model":"claude-x","content":[],'
    b'"usage":{"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":30,"output_tokens":1}}}\n\n'
    b'data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"\\"usage\\": 7"}}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{},"usage":{"output_tokens":40}}\n\n'
)
RESPONSES = (
    b'data: {"type":"response.created","response":{"model":"gpt-x","usage":null}}\r\n\r\n'
    b'data: {"type":"response.completed","response":{"model":"gpt-x","output":[{"text":"x"}],"usage":'
    b'{"input_tokens":40,"input_tokens_details":{"cached_tokens":30},"output_tokens":40,"output_tokens_details":'
    b'{"reasoning_tokens":4}}}}\r\n\r\n'
)
CHAT = (
    b'data: {"model":"m","choices":[{"delta":{"content":"x"}}],"usage":null}\n\n'
    b'data: {"model":"m","choices":[],"usage":{"prompt_tokens":40,"completion_tokens":40,'
    b'"prompt_tokens_details":{"cached_tokens":30}}}\n\ndata: [DONE]\n\n'
)
GEMINI = (
    b'data: {"candidates":[],"modelVersion":"g","usageMetadata":{"promptTokenCount":40,"candidatesTokenCount":1}}\n\n'
    b'data: {"candidates":[],"modelVersion":"g","usageMetadata":{"promptTokenCount":40,"cachedContentTokenCount":30,'
    b'"candidatesTokenCount":30,"thoughtsTokenCount":10}}\n\n'
)
STREAMS = [
    (
        ANTHROPIC,
        Usage(model="claude-x", input_tokens=10, output_tokens=40, cache_read_tokens=30, cache_write_tokens=20),
    ),
    (RESPONSES, Usage(model="gpt-x", input_tokens=10, output_tokens=40, cache_read_tokens=30)),
    (CHAT, Usage(model="m", input_tokens=10, output_tokens=40, cache_read_tokens=30)),
    (GEMINI, Usage(model="g", input_tokens=10, output_tokens=40, cache_read_tokens=30)),
]


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(at)]


@given(
    st.sampled_from(STREAMS), st.lists(st.integers(0, 2_000), max_size=30), st.sampled_from([b"", b"gzip", b"deflate"])
)
@settings(deadline=None)
def test_tokens_are_read_of_every_dialect_however_it_is_cut(
    stream: tuple[bytes, Usage], cuts: list[int], coding: bytes
) -> None:
    data = {b"": lambda d: d, b"gzip": gzip.compress, b"deflate": zlib.compress}[coding](stream[0])
    reader = UsageReader(SSE, coding)
    for piece in pieces(data, cuts):
        reader.feed(piece)
    assert reader.finish() == stream[1]


def test_an_answer_that_is_no_stream_tells_its_tokens_too() -> None:
    reader = UsageReader(JSON, b"")
    reader.feed(b'{"model":"claude-x","content":[{"text":"long"}],"usage":')
    reader.feed(b'{"input_tokens":5,"output_tokens":6}}')
    assert reader.finish() == Usage(model="claude-x", input_tokens=5, output_tokens=6)
    reader = UsageReader(JSON, b"")
    reader.feed(b'[{"usageMetadata":{"promptTokenCount":5}},\n{"usageMetadata":{"candidatesTokenCount":6}}]')
    assert reader.finish() == Usage(model="", input_tokens=5, output_tokens=6)


def test_nothing_is_kept_that_is_longer_than_a_line_may_be() -> None:
    reader = UsageReader(SSE, b"")
    for _ in range(2 * LINE_BYTES // 65_536 + 2):
        reader.feed(b"x" * 65_536)
    assert len(reader._part) <= LINE_BYTES
    reader.feed(b"\n" + CHAT)
    assert reader.finish() == STREAMS[2][1], "what follows is read again"


def test_what_grows_without_measure_is_not_unpacked() -> None:
    reader = UsageReader(SSE, b"gzip")
    reader.feed(gzip.compress(b"\0" * (64 << 20)))
    assert len(reader._part) <= LINE_BYTES
    assert reader.finish() is None


@given(st.binary(max_size=300), st.sampled_from([SSE, JSON, b"text/plain"]), st.sampled_from([b"", b"gzip", b"br"]))
def test_any_bytes_pass(data: bytes, kind: bytes, coding: bytes) -> None:
    reader = UsageReader(kind, coding)
    reader.feed(data)
    reader.feed(b'data: {"usage": 3}\n')
    assert reader.finish() is None


# Refusals


def head(status: int, **headers: str) -> Head:
    return Head([(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()], status=status)


@pytest.mark.parametrize(
    ("answer", "body", "failure", "retry_at"),
    [
        (head(429, retry_after="42"), {}, Failure.RATE_LIMITED, NOW + 42_000),
        (head(429, retry_after_ms="1500"), {}, Failure.RATE_LIMITED, NOW + 1_500),
        (head(429), {}, Failure.RATE_LIMITED, None),
        (head(529), {"type": "error", "error": {"type": "overloaded_error"}}, Failure.OVERLOADED, None),
        (head(503, retry_after="3"), {}, Failure.OVERLOADED, NOW + 3_000),
        (
            head(429),
            {"error": {"type": "usage_limit_reached", "resets_at": NOW // 1_000 + 60}},
            Failure.RATE_LIMITED,
            NOW + 60_000,
        ),
        (
            head(429),
            {
                "error": {
                    "status": "RESOURCE_EXHAUSTED",
                    "details": [{"@type": "x/google.rpc.RetryInfo", "retryDelay": "36s"}],
                }
            },
            Failure.RATE_LIMITED,
            NOW + 36_000,
        ),
    ],
)
def test_a_refusal_is_classed_by_its_codes_and_told_with_its_end(
    answer: Head, body: object, failure: Failure, retry_at: int | None
) -> None:
    seen = refused(answer, json.dumps(body).encode(), NOW)
    assert seen.refusal == Refusal(answer.status, failure, retry_at)
    closed = [one for one in seen.limits if one.status == "rejected"]
    assert [one.resets_at for one in closed] == ([retry_at] if failure is Failure.RATE_LIMITED else [])


def test_the_window_that_is_used_up_is_the_closed_one() -> None:
    answer = head(
        429,
        anthropic_ratelimit_requests_limit="50",
        anthropic_ratelimit_requests_remaining="49",
        anthropic_ratelimit_input_tokens_limit="1000",
        anthropic_ratelimit_input_tokens_remaining="0",
        anthropic_ratelimit_input_tokens_reset="2025-10-09T09:00:00Z",
        retry_after="20",
    )
    told = {one.window: one.status for one in refused(answer, b"{}", NOW).limits}
    assert told == {"requests": "allowed", "input_tokens": "rejected"}


RETRY = {"@type": "x/google.rpc.RetryInfo", "retryDelay": "36s"}
#: How each dialect gives up in the midst of a stream, whose status has been 200 since it began.
BROKEN = [
    ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, Failure.OVERLOADED, None),
    ({"type": "error", "error": {"type": "rate_limit_error", "message": "later"}}, Failure.RATE_LIMITED, None),
    (
        {"type": "error", "code": "rate_limit_exceeded", "message": "later", "sequence_number": 3},
        Failure.RATE_LIMITED,
        None,
    ),
    (
        {"type": "response.failed", "response": {"error": {"code": "server_is_overloaded", "message": ""}}},
        Failure.OVERLOADED,
        None,
    ),
    ({"error": {"type": "server_error", "message": "The server had an error", "code": None}}, Failure.OVERLOADED, None),
    ({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [RETRY]}}, Failure.RATE_LIMITED, NOW + 36_000),
]


@pytest.mark.parametrize(("event", "failure", "retry_at"), BROKEN)
def test_an_error_in_a_stream_that_had_begun_is_a_refusal(
    event: object, failure: Failure, retry_at: int | None
) -> None:
    reader = UsageReader(SSE, b"")
    for piece in (
        ANTHROPIC[:200],
        ANTHROPIC[200:],
        b"event: error\n",
        b"data: " + json.dumps(event).encode() + b"\n\n",
    ):
        reader.feed(piece)
    assert reader.finish() == STREAMS[0][1], "and the tokens are told all the same"
    seen = broken_off(reader.error, NOW)
    assert seen is not None
    status = 429 if failure is Failure.RATE_LIMITED else 503
    assert (seen.status, seen.refusal) == (status, Refusal(status, failure, retry_at))
    assert [one.resets_at for one in seen.limits] == ([retry_at] if status == 429 else [])


@pytest.mark.parametrize(
    "line",
    [
        {"type": "content_block_delta", "delta": {"text": '{"type":"error","error":{"type":"overloaded_error"}}'}},
        {"type": "response.completed", "response": {"model": "gpt-x", "error": None, "usage": {"output_tokens": 1}}},
        {"choices": [{"delta": {"content": "529 overloaded_error"}}], "error": None},
        {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long"}},
        {"type": "error", "error": {"type": "authentication_error"}},
        {"type": "error"},
        {"error": "overloaded_error"},
    ],
)
def test_what_a_model_wrote_or_what_no_waiting_helps_is_none(line: object) -> None:
    reader = UsageReader(SSE, b"")
    reader.feed(b"data: " + json.dumps(line).encode() + b"\n\n")
    reader.finish()
    assert broken_off(reader.error, NOW) is None


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_what_is_wrong_with_a_request_is_no_refusal(status: int) -> None:
    assert refused(head(status), b'{"error":{"type":"invalid_request_error"}}', NOW).refusal is None


@given(st.integers(400, 599), st.binary(max_size=200) | st.text().map(lambda said: json.dumps(said).encode()))
def test_any_error_is_read(status: int, body: bytes) -> None:
    refused(head(status, retry_after=body.decode("latin-1")), body, NOW)
    decoded(body, b"gzip")


def test_a_line_of_progress_names_status_host_and_wait() -> None:
    assert Refusal(429, Failure.RATE_LIMITED, NOW + 42_000).line("api.x", NOW) == "429 from api.x, retry after 42 s"
    assert Refusal(529, Failure.OVERLOADED).line("api.x", NOW) == "529 from api.x"


def test_what_was_told_is_told_again_only_when_it_has_moved_or_some_time_has_passed() -> None:
    fresh, one = Fresh(), Limit("requests", "allowed", 0.5, NOW)
    assert fresh.of((one,), NOW) == (one,)
    assert fresh.of((Limit("requests", "allowed", 0.5 + STEP / 2, NOW + 9),), NOW + 1) == ()
    assert len(fresh.of((Limit("requests", "allowed", 0.5 + 2 * STEP, NOW),), NOW + 2)) == 1
    assert len(fresh.of((Limit("requests", "warning", 0.5 + 2 * STEP, NOW),), NOW + 3)) == 1
    assert len(fresh.of((Limit("requests", "warning", 0.5 + 2 * STEP, NOW),), NOW + 3 + AGAIN_MS)) == 1
    closed = Limit("requests", "rejected", 1.0, NOW)
    assert fresh.of((closed,), NOW) == fresh.of((closed,), NOW) == (closed,)


# The verdict

LIMITED = Refusal(429, Failure.RATE_LIMITED, NOW)


@pytest.mark.parametrize(
    ("failure", "retry_at", "last", "becomes"),
    [
        (Failure.UNKNOWN, None, LIMITED, (Failure.RATE_LIMITED, NOW)),
        (Failure.STALLED, None, LIMITED, (Failure.RATE_LIMITED, NOW)),
        (Failure.STALLED, None, Refusal(529, Failure.OVERLOADED), (Failure.OVERLOADED, None)),
        (Failure.RATE_LIMITED, None, LIMITED, (Failure.RATE_LIMITED, NOW)),
        (Failure.RATE_LIMITED, 7, LIMITED, (Failure.RATE_LIMITED, 7)),
        (Failure.AUTH, None, LIMITED, (Failure.AUTH, None)),
        (Failure.TIMEOUT, None, LIMITED, (Failure.TIMEOUT, None)),
        (Failure.STALLED, None, None, (Failure.STALLED, None)),
    ],
)
def test_the_providers_last_word_counts_where_the_agent_said_none(
    failure: Failure, retry_at: int | None, last: Refusal | None, becomes: tuple[Failure, int | None]
) -> None:
    found = with_refusal(Outcome(succeeded=False, failure=failure, reason="x", retry_at=retry_at), last)
    assert (found.failure, found.retry_at) == becomes


def test_a_success_stays_one() -> None:
    done = Outcome(succeeded=True)
    assert with_refusal(done, LIMITED) is done


# Where a body ends


@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=8),
    st.lists(st.integers(0, 3_000), max_size=20),
    st.binary(max_size=9),
)
def test_chunks_end_where_they_end_however_they_are_cut(parts: list[bytes], cuts: list[int], behind: bytes) -> None:
    data = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nX-Trailer: 1\r\n\r\n"
    body, content, left = Chunks(), b"", b""
    for piece in pieces(data + behind, cuts):
        taken, inside = body.feed(piece)
        content += b"".join(inside)
        left += piece[taken:]
    assert (body.done, content, left) == (True, b"".join(parts), behind)


@given(st.binary(max_size=60))
def test_any_bytes_are_chunks_or_refused(data: bytes) -> None:
    body = Chunks()
    try:
        taken, content = body.feed(data)
    except FramingError:
        return
    assert taken == len(data) or body.done
    assert sum(map(len, content)) <= taken


@pytest.mark.parametrize(
    "bad", [b"x\r\n", b"-1\r\n", b"\r\n", b"1\r\nab\r\n", b"1\r\na\n\r", b"+1\r\n", b"0x1\r\n", b"1" * 2_000]
)
def test_what_is_no_chunk_is_refused(bad: bytes) -> None:
    with pytest.raises(FramingError):
        Chunks().feed(bad)


def test_a_length_is_counted_and_without_one_all_belongs_to_it() -> None:
    body = Body(5)
    assert body.feed(b"abc") == (3, (b"abc",))
    assert body.feed(b"defg") == (2, (b"de",))
    assert body.done
    endless = Body(None)
    assert endless.to_the_end
    assert endless.feed(b"abc") == (3, (b"abc",))
    assert not endless.done


def test_the_windows_of_a_subscription_are_seen_as_in_every_other_answer() -> None:
    start = b"anthropic-ratelimit-unified-"
    headers = [(start + b"status", b"allowed_warning"), (start + b"5h-utilization", b"0.93")]
    headers += [(b"x-codex-primary-used-percent", b"17"), (b"x-codex-primary-window-minutes", b"10080")]
    found = {one.window: one.used for one in windows(headers_of(Head(headers, status=200)), NOW)}
    assert found == {"five_hour": 0.93, "seven_day": 0.17}


def test_a_days_quota_is_named_and_ends_at_its_own_time() -> None:
    quota = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "RequestsPerDayPer"}]}
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36s"}
    body = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m", "details": [quota, retry]}}
    (one,) = refused(head(429), json.dumps(body).encode(), NOW).limits
    assert (one.window, one.status) == ("requests_per_day", "rejected")
    assert (one.resets_at or 0) - NOW > 60_000, "not after the seconds that came with it"
