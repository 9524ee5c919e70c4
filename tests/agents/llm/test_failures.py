"""What a provider's refusal means."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.agents.llm.failures import Told, judge
from engine.model import Failure

NOW = 1_764_000_000_000


def _anthropic(kind: str, message: str, code: str | None = None) -> dict[str, Any]:
    details = {"details": {"error_code": code}} if code else {}
    return {"type": "error", "error": {"type": kind, "message": message, **details}, "request_id": "req_1"}


def _google(status: str, message: str, *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": 1, "status": status, "message": message, "details": list(details)}}


def _reason(word: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": word}


def _quota(value: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaValue": value}]}


CASES: list[tuple[int | None, Any, Failure]] = [
    (429, _anthropic("rate_limit_error", "This request would exceed your rate limit"), Failure.RATE_LIMITED),
    (529, _anthropic("overloaded_error", "Overloaded"), Failure.OVERLOADED),
    (None, _anthropic("overloaded_error", "Overloaded"), Failure.OVERLOADED),
    (500, _anthropic("api_error", "Internal server error"), Failure.OVERLOADED),
    (401, _anthropic("authentication_error", "invalid x-api-key"), Failure.AUTH),
    (403, _anthropic("permission_error", "no"), Failure.AUTH),
    (403, _anthropic("permission_error", "on hold", "organization_on_hold"), Failure.AUTH),
    (402, _anthropic("billing_error", "pay"), Failure.BILLING),
    (400, _anthropic("invalid_request_error", "spent", "enforced_spend_limit_reached"), Failure.BILLING),
    (400, _anthropic("invalid_request_error", "Your credit balance is too low to access"), Failure.BILLING),
    (400, _anthropic("invalid_request_error", "prompt is too long: 215000 tokens > 200000"), Failure.CONTEXT_OVERFLOW),
    (413, _anthropic("request_too_large", "too large"), Failure.CONTEXT_OVERFLOW),
    (400, _anthropic("invalid_request_error", "messages: the text says prompt is too long"), Failure.UNKNOWN),
    (404, _anthropic("not_found_error", "model: none"), Failure.UNKNOWN),
    (429, {"code": "rate_limit_exceeded", "type": "tokens", "message": "Rate limit"}, Failure.RATE_LIMITED),
    (429, {"code": "insufficient_quota", "type": "insufficient_quota", "message": "quota"}, Failure.BILLING),
    (429, {"type": "usage_limit_reached", "message": "limit"}, Failure.RATE_LIMITED),
    (503, {"code": "server_is_overloaded", "message": "busy"}, Failure.OVERLOADED),
    (None, {"code": "server_error", "message": "sorry"}, Failure.OVERLOADED),
    (401, {"code": "invalid_api_key", "message": "Incorrect API key"}, Failure.AUTH),
    (400, {"code": "context_length_exceeded", "message": "too long"}, Failure.CONTEXT_OVERFLOW),
    (400, {"code": "content_policy_violation", "message": "no"}, Failure.BAD_OUTPUT),
    (404, {"code": "model_not_found", "message": "no such model"}, Failure.UNKNOWN),
    (400, {"code": "invalid_type", "type": "invalid_request_error", "message": "bad"}, Failure.UNKNOWN),
    (400, {"error": {"code": 400, "type": "exceed_context_size_error", "message": "x"}}, Failure.CONTEXT_OVERFLOW),
    (400, {"type": "BadRequestError", "message": "This model's maximum context length is 8"}, Failure.CONTEXT_OVERFLOW),
    (402, {"error": {"code": 402, "message": "Insufficient credits"}}, Failure.BILLING),
    (429, _google("RESOURCE_EXHAUSTED", "quota", _reason("RATE_LIMIT_EXCEEDED")), Failure.RATE_LIMITED),
    (429, _google("RESOURCE_EXHAUSTED", "limit: 0", _quota("0")), Failure.BILLING),
    (429, _google("RESOURCE_EXHAUSTED", "limit: 10", _quota("10")), Failure.RATE_LIMITED),
    (429, _google("RESOURCE_EXHAUSTED", "x", _reason("MODEL_CAPACITY_EXHAUSTED")), Failure.OVERLOADED),
    (503, _google("UNAVAILABLE", "overloaded"), Failure.OVERLOADED),
    (400, [_google("INVALID_ARGUMENT", "API key not valid.", _reason("API_KEY_INVALID"))], Failure.AUTH),
    (403, _google("PERMISSION_DENIED", "no"), Failure.AUTH),
    (400, _google("INVALID_ARGUMENT", "The input token count (12) exceeds"), Failure.CONTEXT_OVERFLOW),
    (400, _google("INVALID_ARGUMENT", "Invalid value."), Failure.UNKNOWN),
    (404, _google("NOT_FOUND", "models/none is not found"), Failure.UNKNOWN),
    (502, "<html>Bad gateway</html>", Failure.OVERLOADED),
    (429, None, Failure.RATE_LIMITED),
    (401, {"detail": "Unauthorized"}, Failure.AUTH),
    (418, {}, Failure.UNKNOWN),
]


@pytest.mark.parametrize(("status", "body", "failure"), CASES)
def test_each_error_has_its_class(status: int | None, body: Any, failure: Failure) -> None:
    assert judge(Told(status, body), NOW).failure is failure


def test_only_a_wait_has_an_end() -> None:
    headers = {"retry-after": "60"}
    assert judge(Told(429, {"code": "rate_limit_exceeded"}, headers), NOW).retry_at == NOW + 60_000
    assert judge(Told(529, _anthropic("overloaded_error", "x"), headers), NOW).retry_at == NOW + 60_000
    assert judge(Told(429, {"code": "insufficient_quota"}, headers), NOW).retry_at is None
    over = {"type": "usage_limit_reached", "resets_at": NOW / 1_000 - 5}
    assert judge(Told(429, over), NOW).retry_at is None, "a reset that is over is none"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "code", "type", "status", "message", "details", "reason"]), inner)
    ),
)


@given(st.none() | st.integers(100, 700), _JSON)
def test_no_body_breaks_it(status: int | None, body: Any) -> None:
    verdict = judge(Told(status, body), NOW)
    assert len(verdict.message) <= 300
    assert "\n" not in verdict.message
