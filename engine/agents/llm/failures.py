"""What a provider's refusal means: the one table from its structured codes to Headway's classes of failure. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.agents.llm import limits
from engine.agents.llm.lines import Window
from engine.model import Failure

MESSAGE_LIMIT = 300  #: characters of a provider's words in a reason

#: A provider's own code -> class, for all of them: none means two things. A model that does not exist and a request
#: that is found invalid are `unknown`: the same question brings the same answer, so they fail closed.
CODES: Mapping[str, Failure] = {
    **dict.fromkeys(
        (
            "rate_limit_error", "rate_limit_exceeded", "usage_limit_reached", "ramp_limit_exceeded",
            "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED", "QUOTA_EXHAUSTED",
        ),
        Failure.RATE_LIMITED,
    ),
    **dict.fromkeys(
        (
            "overloaded_error", "api_error", "timeout_error", "server_is_overloaded", "slow_down", "overloaded",
            "server_error", "internal_error", "UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "ABORTED",
            "MODEL_CAPACITY_EXHAUSTED",
        ),
        Failure.OVERLOADED,
    ),
    **dict.fromkeys(
        (
            "authentication_error", "permission_error", "organization_on_hold", "invalid_api_key",
            "account_deactivated", "unsupported_country_region_territory", "UNAUTHENTICATED", "PERMISSION_DENIED",
            "API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED",
        ),
        Failure.AUTH,
    ),
    **dict.fromkeys(
        (
            "billing_error", "insufficient_quota", "billing_not_active", "billing_hard_limit_reached",
            "insufficient_credits", "contract_spend_limit_reached", "enforced_spend_limit_reached",
            "linked_organization_spend_limit_reached", "linked_organization_billing_unavailable",
            "BILLING_DISABLED", "INSUFFICIENT_G1_CREDITS_BALANCE",
        ),
        Failure.BILLING,
    ),
    **dict.fromkeys(
        ("request_too_large", "context_length_exceeded", "string_above_max_length", "exceed_context_size_error"),
        Failure.CONTEXT_OVERFLOW,
    ),
    **dict.fromkeys(("content_filter", "content_policy_violation", "invalid_prompt"), Failure.BAD_OUTPUT),
    **dict.fromkeys(("not_found_error", "model_not_found", "NOT_FOUND"), Failure.UNKNOWN),
}  # fmt: skip

#: Two classes for which some APIs have no code but `invalid request`. The beginning of the error's own message is read
#: then, of the field that the server fills and no model: (the code that it comes with, the beginning, the class).
BEGINNINGS: tuple[tuple[str, str, Failure], ...] = (
    ("invalid_request_error", "prompt is too long", Failure.CONTEXT_OVERFLOW),
    ("invalid_request_error", "input length and `max_tokens` exceed context limit", Failure.CONTEXT_OVERFLOW),
    ("invalid_request_error", "Your credit balance is too low", Failure.BILLING),
    ("BadRequestError", "This model's maximum context length is", Failure.CONTEXT_OVERFLOW),
    ("INVALID_ARGUMENT", "The input token count", Failure.CONTEXT_OVERFLOW),
)

STATUSES: Mapping[int, Failure] = {
    401: Failure.AUTH,
    402: Failure.BILLING,
    403: Failure.AUTH,
    408: Failure.OVERLOADED,
    413: Failure.CONTEXT_OVERFLOW,
    429: Failure.RATE_LIMITED,
    **dict.fromkeys(range(500, 600), Failure.OVERLOADED),
}

#: How a reason goes on after the provider's name; its own words follow.
WORDS: Mapping[Failure, str] = {
    Failure.RATE_LIMITED: "has reached a rate limit",
    Failure.OVERLOADED: "gives no service now",
    Failure.AUTH: "does not accept the key",
    Failure.BILLING: "does not serve for want of payment",
    Failure.CONTEXT_OVERFLOW: "cannot fit the prompt into the model's context",
    Failure.BAD_OUTPUT: "gave no usable answer",
    Failure.TIMEOUT: "did not answer in time",
    Failure.SPAWN_FAILED: "could not be asked",
}


@dataclass(frozen=True, slots=True)
class Told:
    """An error as it came over the wire."""

    status: int | None = None
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""


@dataclass(frozen=True, slots=True)
class Verdict:
    failure: Failure
    message: str
    code: str | None = None
    retry_at: int | None = None
    quotas: tuple[Window, ...] = ()
    """The windows that it says are used up."""


def judge(told: Told, now: int) -> Verdict:
    """The class of an error: by its codes, the most telling first, and only then by its status."""
    error = _error(told.body)
    message = _one_line(error.get("message"))
    codes = list(_codes(error))
    failure = next((CODES[code] for code in codes if code in CODES), None)
    if failure is None:
        failure = _by_beginning(codes, message) or STATUSES.get(told.status or 0, Failure.UNKNOWN)
    if failure is Failure.RATE_LIMITED and _never(error):
        failure = Failure.BILLING
    waits = failure in (Failure.RATE_LIMITED, Failure.OVERLOADED)
    quotas = limits.quotas(error, now) if failure is Failure.RATE_LIMITED else ()
    return Verdict(failure, message, next(iter(codes), None), _retry_at(told, error, now) if waits else None, quotas)


def _retry_at(told: Told, error: Mapping[str, Any], now: int) -> int | None:
    at = limits.retry_at(told.headers, error, now)
    return at if at is not None and at > now else None


def _error(body: object) -> Mapping[str, Any]:
    """The error itself, out of what each API wraps it in."""
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, dict):
        inner = body.get("error")
        return inner if isinstance(inner, dict) else body if inner is None else {"message": inner}
    return {"message": body}


def _codes(error: Mapping[str, Any]) -> Iterator[str]:
    found = error.get("details")
    if isinstance(found, dict):
        yield from _text(found.get("error_code"))
    for detail in limits.details(error):
        yield from _text(detail.get("reason"))
    for name in ("code", "type", "status"):
        yield from _text(error.get(name))


def _text(value: object) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value


def _by_beginning(codes: list[str], message: str) -> Failure | None:
    found = (failure for code, start, failure in BEGINNINGS if code in codes and message.startswith(start))
    return next(found, None)


def _never(error: Mapping[str, Any]) -> bool:
    """A quota of nothing does not come back by waiting: the plan does not have this model."""
    return any(str(one.get("quotaValue", "")) == "0" for one in limits.violations(error))


def _one_line(value: object) -> str:
    text = value if isinstance(value, str) else "" if value is None else str(value)
    text = text[: 4 * MESSAGE_LIMIT].encode(errors="replace").decode()
    line = re.sub(r"\s+", " ", text).strip()
    return line if len(line) <= MESSAGE_LIMIT else line[: MESSAGE_LIMIT - 1] + "…"
