"""What every agent's failures have in common: HTTP statuses of the provider, and the words for a class."""

from __future__ import annotations

from collections.abc import Mapping

from engine.model import Failure

#: - A server's 5xx is `overloaded`: the provider does not serve now, the job has done nothing wrong, waiting helps.
#: - A request that it finds invalid (400) or cannot place (404) is `unknown`: asking again brings the same answer, and
#:   neither the account nor the agent's work is at fault, so it must fail closed.
STATUS: Mapping[str | int, Failure] = {
    401: Failure.AUTH,
    402: Failure.BILLING,
    403: Failure.AUTH,
    404: Failure.UNKNOWN,
    408: Failure.OVERLOADED,
    413: Failure.CONTEXT_OVERFLOW,
    429: Failure.RATE_LIMITED,
    **dict.fromkeys(range(500, 600), Failure.OVERLOADED),
}

#: How a reason goes on after the agent's name; its own words follow.
WORDS: Mapping[Failure, str] = {
    Failure.RATE_LIMITED: "has reached its rate limit",
    Failure.OVERLOADED: "gets no service from the model's provider now",
    Failure.AUTH: "is not signed in: check its key, or log in again",
    Failure.BILLING: "is not served for want of payment",
    Failure.CONTEXT_OVERFLOW: "cannot fit its conversation into the model's context any more",
    Failure.CONTEXT_LOST: "cannot go on with this session",
    Failure.BUDGET_EXCEEDED: "stopped at its own limit",
    Failure.CRASHED: "broke off",
    Failure.BAD_OUTPUT: "gave no usable answer",
    Failure.SPAWN_FAILED: "refused to start",
}
