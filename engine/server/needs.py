"""What role each call needs. The one table: a call that is not in it is the owner's alone, and fails a test."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import Route

from engine.audit import Audit
from engine.model.access import Role
from engine.server.auditing import Asking

#: By role, method and path. What differs within a call (a drain among the verbs, a check of keys) its handler asks for.
_TABLE: dict[Role, str] = {
    Role.VIEWER: """
        GET  /healthz
        GET  /readyz
        GET  /metrics
        GET  /v1/status
        GET  /v1/jobs
        GET  /v1/order
        GET  /v1/jobs/{job}
        GET  /v1/jobs/{job}/explain
        GET  /v1/jobs/{job}/log
        GET  /v1/jobs/{job}/output
        GET  /v1/jobs/{job}/diff
        GET  /v1/jobs/{job}/answer
        GET  /v1/jobs/{job}/route
        GET  /v1/jobs/{job}/triage
        GET  /v1/jobs/{job}/skills
        GET  /v1/jobs/{job}/context
        GET  /v1/jobs/{job}/hand-offs
        GET  /v1/jobs/{job}/gate
        GET  /v1/actions
        GET  /v1/estimates
        GET  /v1/waits
        GET  /v1/batches
        GET  /v1/caps
        GET  /v1/breakers
        GET  /v1/events
        GET  /v1/agents
        GET  /v1/sessions
        GET  /v1/decisions
        GET  /v1/decisions/{card}
        GET  /v1/decisions/{card}/outlooks
        GET  /v1/rules
        GET  /v1/rules/{rule}
        GET  /v1/proposals
        GET  /v1/notify
        GET  /v1/routes
        POST /v1/routes/explain
        GET  /v1/forecast
        GET  /v1/tax
        GET  /v1/tap
        GET  /v1/limits
        GET  /v1/trend
        GET  /v1/races
        GET  /v1/races/{race}
        GET  /v1/merges
        GET  /v1/merges/{merge}
        GET  /v1/nodes
        GET  /v1/pipelines
        GET  /v1/pipelines/files
        GET  /v1/pipelines/files/{name}
        GET  /v1/pipelines/{pipeline}
        GET  /v1/scoreboard
        GET  /v1/compare
        POST /v1/triage
        GET  /v1/triage/rules
        GET  /v1/skills
        GET  /v1/skills/stats
        GET  /v1/skills/{name}/text
        GET  /v1/skills/{name}/uses
        GET  /v1/schedules
        GET  /v1/schedules/{name:path}
        GET  /v1/spend
        GET  /v1/budgets
        GET  /v1/memory
        GET  /v1/memory/search
        GET  /v1/memory/recall
        GET  /v1/memory/status
        GET  /v1/memory/core
        GET  /v1/memory/{item}
        GET  /v1/personas
        GET  /v1/personas/{name}
        GET  /v1/workers
        GET  /v1/workers/{name}
        GET  /v1/gates
    """,
    Role.OPERATOR: """
        POST /v1/jobs
        POST /v1/actions
        POST /v1/undo
        POST /v1/jobs/{job}/triage
        POST /v1/jobs/{job}/hand-offs
        POST /v1/decisions
        POST /v1/decisions/snooze
        POST /v1/decisions/{card}
        POST /v1/rules
        DELETE /v1/rules/{rule}
        POST /v1/proposals
        POST /v1/notify/test
        POST /v1/limits
        POST /v1/races
        POST /v1/races/{race}/pick
        POST /v1/merges
        POST /v1/merges/{merge}/drop
        POST /v1/nodes/drain
        POST /v1/pipelines
        POST /v1/pipelines/{pipeline}
        POST /v1/scoreboard/rebuild
        POST /v1/schedules/{name:path}
        POST /v1/spend/reconcile
        POST /v1/budgets
        POST /v1/memory
        POST /v1/memory/change
        PUT  /v1/memory/core
        POST /v1/workers/{name}
    """,
    Role.ADMIN: """
        GET  /v1/tokens
        POST /v1/tokens
        DELETE /v1/tokens/{name}
        GET  /v1/audit
        POST /v1/prune
        POST /v1/shutdown
        POST /v1/reload
        POST /v1/nodes/join
        POST /v1/memory/forget
        POST /v1/memory/import
        POST /v1/memory/migrate
    """,
    # A session is taken over by a process of this machine, at its terminal and with its environment.
    Role.OWNER: """
        POST /v1/jobs/{job}/attach
        POST /v1/jobs/{job}/detach
    """,
}

NEEDS: dict[tuple[str, str], Role] = {
    (line.split()[0], line.split()[1]): role
    for role, lines in _TABLE.items()
    for line in lines.split("\n")
    if line.split()
}


def methods_of(route: Route) -> list[str]:
    """Without HEAD, which is GET without an answer's body."""
    return sorted((route.methods or set()) - {"HEAD"})


def needed(route: Route) -> Role:
    """What a route needs: the most that one of its methods does, the owner where the table does not have it."""
    return max((NEEDS.get((one, route.path), Role.OWNER) for one in methods_of(route)), key=list(Role).index)


def held_to_needs(routes: Sequence[Route], audit: Audit) -> list[Route]:
    """The routes, each asking first who calls, and telling the audit afterwards."""
    for route in routes:
        route.app = Asking(route.app, needed(route), audit)
    return list(routes)
