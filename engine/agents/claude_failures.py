"""What Claude Code's structured fields mean: the one table from its words to Headway's classes of failure.

No text that the agent wrote is looked at: its wording changes from version to version, and a diff may contain it.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.agents.claude_lines import ResultLine
from engine.agents.failures import STATUS
from engine.model import Failure

#: Field -> its value -> class. The fields are asked in this order, the most telling first, and the first hit counts.
#: - A connection that cannot be made is `overloaded`, as a server's 5xx is.
#: - A model that does not exist is `unknown`, as 404 is.
#: - `aborted_*` is `crashed`: something outside interrupted the run, and the session can go on.
FAILURES: Mapping[str, Mapping[str | int, Failure]] = {
    "startup_failure_reason": {
        "gateway_access_denied": Failure.AUTH,
        "gateway_signin_required": Failure.AUTH,
        "org_pin_api_key_conflict": Failure.AUTH,
        "org_pin_mismatch": Failure.AUTH,
        "org_verify_failed": Failure.AUTH,
        "provider_not_allowed": Failure.AUTH,
        "session_held_by_background": Failure.CONTEXT_LOST,
        "worktree_resume_refused": Failure.CONTEXT_LOST,
    },
    "subtype": {
        "error_max_turns": Failure.BUDGET_EXCEEDED,
        "error_max_budget_usd": Failure.BUDGET_EXCEEDED,
        "error_max_structured_output_retries": Failure.BAD_OUTPUT,
    },
    "terminal_reason": {
        "prompt_too_long": Failure.CONTEXT_OVERFLOW,
        "blocking_limit": Failure.CONTEXT_OVERFLOW,
        "rapid_refill_breaker": Failure.CONTEXT_OVERFLOW,
        "max_turns": Failure.BUDGET_EXCEEDED,
        "budget_exhausted": Failure.BUDGET_EXCEEDED,
        "aborted_streaming": Failure.CRASHED,
        "aborted_tools": Failure.CRASHED,
        "malformed_tool_use_exhausted": Failure.BAD_OUTPUT,
        "structured_output_retry_exhausted": Failure.BAD_OUTPUT,
    },
    "api_error": {
        "usage_limit_reached": Failure.RATE_LIMITED,
        "connection_failed": Failure.OVERLOADED,
        "no_response": Failure.OVERLOADED,
        "stream_idle_timeout": Failure.OVERLOADED,
        "computer_slept": Failure.OVERLOADED,
        "autocompact_thrashing": Failure.CONTEXT_OVERFLOW,
        "message_over_context_limit": Failure.CONTEXT_OVERFLOW,
        "model_requires_usage_credits": Failure.BILLING,
        "long_context_credits_required": Failure.BILLING,
        "api_key_auth_disabled": Failure.AUTH,
        "gateway_session_expired": Failure.AUTH,
        "gateway_signin_required": Failure.AUTH,
        "invalid_credential_header": Failure.AUTH,
        "oauth_refresh_store_refused": Failure.AUTH,
        "org_disabled_credential": Failure.AUTH,
        "provider_credentials": Failure.AUTH,
        "stored_login_refused": Failure.AUTH,
        "empty_completion": Failure.BAD_OUTPUT,
        "malformed_tool_use_exhausted": Failure.BAD_OUTPUT,
        "max_output_tokens": Failure.BAD_OUTPUT,
    },
    "error": {
        "rate_limit": Failure.RATE_LIMITED,
        "overloaded": Failure.OVERLOADED,
        "server_error": Failure.OVERLOADED,
        "authentication_failed": Failure.AUTH,
        "account_on_hold": Failure.AUTH,
        "cloud_credential_error": Failure.AUTH,
        "oauth_org_not_allowed": Failure.AUTH,
        "verification_required": Failure.AUTH,
        "billing_error": Failure.BILLING,
        "max_output_tokens": Failure.BAD_OUTPUT,
        "model_not_found": Failure.UNKNOWN,
    },
    "api_error_type": {
        "rate_limit_error": Failure.RATE_LIMITED,
        "overloaded_error": Failure.OVERLOADED,
        "api_error": Failure.OVERLOADED,
        "timeout_error": Failure.OVERLOADED,
        "authentication_error": Failure.AUTH,
        "permission_error": Failure.AUTH,
        "billing_error": Failure.BILLING,
        "request_too_large": Failure.CONTEXT_OVERFLOW,
        "not_found_error": Failure.UNKNOWN,
    },
    "api_error_status": STATUS,
}


def class_of(result: ResultLine, error: str | None, started: bool) -> Failure:
    """The class of a `result` that is no success.

    `error` is that field of the error message before it, and `started` tells whether an `init` was printed: without
    one, an error that names no cause of its own is a session that could not be resumed.
    """
    said = {
        "startup_failure_reason": result.startup_failure_reason,
        "subtype": result.subtype,
        "terminal_reason": result.terminal_reason,
        "api_error": result.api_error,
        "error": error,
        "api_error_type": result.api_error_type,
        "api_error_status": result.api_error_status,
    }
    for field, classes in FAILURES.items():
        value = said[field]
        if value is not None and value in classes:
            return classes[value]
    if result.startup_failure_reason:
        return Failure.SPAWN_FAILED
    if result.subtype == "error_during_execution":
        return Failure.CRASHED if started else Failure.CONTEXT_LOST
    return Failure.UNKNOWN
