"""What a route does: nothing without a policy, and of the targets in their order the first that may be used."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.dispatch.routebook import Route, Station
from engine.dispatch.routing import Ask, Candidate, Case, Move, Stay, Stop, decide
from engine.model import Target
from engine.model.route import PASSING, RouteCause, RoutePolicy, Standing
from tests.dispatch.samples import NOW

MINUTE = 60_000
NAMES = ("claude:opus@work", "claude:haiku@work", "codex:gpt", "gemini:pro", "llm:ollama/q")


def route(policies: dict[RouteCause, RoutePolicy] | None = None, patience: int = 0, most: int | None = None) -> Route:
    stations = tuple(Station(Target.parse(name)) for name in NAMES)
    return Route("r", stations, policies or {}, patience=patience, most=most)


def candidate(name: str, **fields: object) -> Candidate:
    return Candidate(Target.parse(name), Standing(target=name, **fields))  # type: ignore[arg-type]


def case(
    policy: RoutePolicy | None, cause: RouteCause = RouteCause.LIMIT, at: str = NAMES[0], **fields: object
) -> Case:
    own = fields.pop("route", route({cause: policy} if policy else {}))
    candidates = fields.pop("candidates", [candidate(name) for name in NAMES])
    return Case(own, Target.parse(at), cause, candidates, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("cause", RouteCause)
def test_without_a_policy_nothing_moves(cause: RouteCause) -> None:
    assert decide(case(None, cause), NOW) == Stay(plain=True)


@pytest.mark.parametrize("cause", RouteCause)
def test_each_policy_is_what_it_says(cause: RouteCause) -> None:
    kinds = {policy: type(decide(case(policy, cause), NOW)) for policy in RoutePolicy}
    assert kinds == {
        RoutePolicy.WAIT: Stay, RoutePolicy.REROUTE: Move, RoutePolicy.ASK: Ask, RoutePolicy.STOP: Stop,
    }  # fmt: skip


def test_harder_work_goes_further_down_the_list_and_waiting_work_anywhere() -> None:
    moves = {cause: decide(case(RoutePolicy.REROUTE, cause, NAMES[2]), NOW) for cause in RouteCause}
    to = {cause: str(one.to.target) for cause, one in moves.items() if isinstance(one, Move)}
    assert to == {
        RouteCause.LIMIT: NAMES[0], RouteCause.OVERLOAD: NAMES[0], RouteCause.AUTH: NAMES[0],
        RouteCause.CONTEXT: NAMES[3], RouteCause.QUALITY: NAMES[3],
    }  # fmt: skip


def test_a_login_that_is_not_let_in_is_not_tried_with_another_model() -> None:
    found = decide(case(RoutePolicy.REROUTE, RouteCause.AUTH), NOW)
    assert isinstance(found, Move)
    assert str(found.to.target) == NAMES[2]


def test_only_a_job_that_has_worked_is_handed_over_and_not_within_its_account() -> None:
    for started, to, handed in ((True, NAMES[2], True), (False, NAMES[2], False), (True, NAMES[1], False)):
        only = [candidate(NAMES[0]), candidate(to)]
        found = decide(case(RoutePolicy.REROUTE, candidates=only, started=started), NOW)
        assert isinstance(found, Move)
        assert found.handoff is handed


@pytest.mark.parametrize(
    ("until", "since", "stays"),
    [
        (NOW + 9 * MINUTE, None, True),
        (NOW + 11 * MINUTE, None, False),
        (NOW + 2 * MINUTE, NOW - 9 * MINUTE, False),
        (None, None, True),
        (None, NOW - 9 * MINUTE, True),
        (None, NOW - 10 * MINUTE, False),
    ],
)
def test_patience_is_counted_from_when_the_waiting_began(until: int | None, since: int | None, stays: bool) -> None:
    own = route({RouteCause.LIMIT: RoutePolicy.REROUTE}, patience=10 * MINUTE)
    found = decide(case(RoutePolicy.REROUTE, route=own, until=until, since=since), NOW)
    assert isinstance(found, Stay) is stays
    if isinstance(found, Stay):
        assert found.at == (until if until is not None else (since or NOW) + 10 * MINUTE)


def test_a_target_that_is_too_dear_is_passed_over_and_one_without_a_price_is_asked_about() -> None:
    own = route({RouteCause.LIMIT: RoutePolicy.REROUTE}, most=100)
    dear, cheap = candidate(NAMES[1], added=81), candidate(NAMES[2], added=80)
    found = decide(case(RoutePolicy.REROUTE, route=own, candidates=[dear, cheap], spent=20), NOW)
    assert isinstance(found, Move)
    assert found.to is cheap
    only = decide(case(RoutePolicy.REROUTE, route=own, candidates=[dear], spent=20), NOW)
    assert isinstance(only, Stay)
    unknown = candidate(NAMES[3])
    assert decide(case(RoutePolicy.REROUTE, route=own, candidates=[dear, unknown]), NOW) == Move(
        dear, "route r reroutes on limit"
    ), "what is known to be cheap enough goes first"
    asked = decide(case(RoutePolicy.REROUTE, route=own, candidates=[unknown]), NOW)
    assert isinstance(asked, Ask)
    assert asked.choices == (unknown,)
    assert isinstance(decide(case(RoutePolicy.REROUTE, candidates=[unknown]), NOW), Move), "without a bound it goes"


def test_where_no_target_is_left_a_limit_is_waited_for_and_all_else_is_as_without_a_route() -> None:
    shut = [candidate(name, closed="shut") for name in NAMES]
    for cause in RouteCause:
        found = decide(case(RoutePolicy.REROUTE, cause, candidates=shut), NOW)
        assert isinstance(found, Stay)
        assert found.plain is (cause not in PASSING)
        assert "no other target of route r" in found.why


_STANDINGS = st.builds(
    lambda name, closed, lacks, left, added: candidate(name, closed=closed, lacks=lacks, left=left, added=added),
    st.sampled_from(NAMES), *[st.sampled_from(["", "why"])] * 3, st.none() | st.integers(0, 200),
)  # fmt: skip


@given(
    st.sampled_from(RouteCause),
    st.none() | st.sampled_from(RoutePolicy),
    st.sampled_from(NAMES),
    st.lists(_STANDINGS, max_size=6, unique_by=lambda one: one.target),
    st.none() | st.integers(0, 100),
    st.none() | st.integers(0, 100),
    st.integers(0, 20) | st.just(0),
    st.none() | st.integers(NOW - 30 * MINUTE, NOW + 30 * MINUTE),
)
def test_no_move_breaks_a_bound(
    cause: RouteCause,
    policy: RoutePolicy | None,
    at: str,
    candidates: list[Candidate],
    most: int | None,
    spent: int | None,
    patience: int,
    until: int | None,
) -> None:
    own = route({cause: policy} if policy else {}, patience * MINUTE, most)
    asked = case(policy, cause, at, route=own, candidates=candidates, until=until, spent=spent)
    found = decide(asked, NOW)
    assert found == decide(asked, NOW)
    if not isinstance(found, Move):
        return
    assert policy is RoutePolicy.REROUTE
    to = found.to
    assert to.target != Target.parse(at)
    assert to.standing.usable
    if most is not None:
        assert spent is not None
        assert to.standing.added is not None
        assert spent + to.standing.added <= most
    before = candidates[: candidates.index(to)]
    if cause in PASSING:
        assert not any(_would_do(one, asked) for one in before), "an earlier one would have done"


def _would_do(one: Candidate, asked: Case) -> bool:
    most, spent, added = asked.route.most, asked.spent, one.standing.added
    free = most is None or (spent is not None and added is not None and spent + added <= most)
    return one.standing.usable and one.target != asked.target and free
