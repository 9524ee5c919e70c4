"""Each call says which role it needs, in one table, and is held to it."""

from __future__ import annotations

import httpx
import pytest
from starlette.routing import Route

from engine.engine import Engine
from engine.model.access import Role
from engine.server.app import make_app
from engine.server.caller import Caller, Door
from engine.server.needs import NEEDS, methods_of, needed


@pytest.mark.parametrize("role", Role)
def test_a_role_may_what_those_before_it_may(role: Role) -> None:
    order = list(Role)
    assert [one for one in Role if role.may(one)] == order[: order.index(role) + 1]


async def test_every_call_is_in_the_table_and_only_those(engine: Engine) -> None:
    routes = [route for route in make_app(engine).routes if isinstance(route, Route)]
    calls = {(method, route.path) for route in routes for method in methods_of(route)}
    assert calls == set(NEEDS)
    assert all(len(methods_of(route)) == 1 for route in routes)


def test_a_call_that_the_table_does_not_have_is_the_owners() -> None:
    assert needed(Route("/v1/forgotten", lambda request: None)) is Role.OWNER


def test_what_changes_something_is_no_viewers() -> None:
    thinks = {("POST", "/v1/routes/explain"), ("POST", "/v1/triage")}
    assert {call for call, role in NEEDS.items() if role is Role.VIEWER and call[0] != "GET"} == thinks


async def test_what_differs_within_a_call_is_asked_for_by_it(engine: Engine) -> None:
    app = make_app(engine)
    caller = Caller("ci", Role.VIEWER, Door.TCP)

    async def door(scope: dict[str, object], receive: object, send: object) -> None:
        await app({**scope, "state": {"caller": caller}}, receive, send)  # type: ignore[arg-type]

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=door), base_url="http://headway") as http:  # type: ignore[arg-type]
        assert (await http.get("/v1/agents", params={"check": "1"})).status_code == 403
        caller = Caller("ci", Role.OPERATOR, Door.TCP)
        drain = await http.post("/v1/actions", json={"verb": "drain", "scope": "all"})
        assert (drain.status_code, drain.json()["message"]) == (
            403,
            "the token ci is of an operator; that needs an admin",
        )
        # What an admin did to the engine is no operator's to take back; what was done to work is.
        await http.post("/v1/actions", json={"verb": "hold", "scope": "all"})
        caller = Caller("boss", Role.ADMIN, Door.TCP)
        assert (await http.post("/v1/actions", json={"verb": "drain", "scope": "all"})).status_code == 200
        caller = Caller("ci", Role.OPERATOR, Door.TCP)
        assert (await http.post("/v1/undo")).status_code == 403
        assert (await http.post("/v1/undo", json={"action": 1})).json()["verb"] == "hold"
