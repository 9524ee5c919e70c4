"""The routes of the settings, resolved, and which of them a job takes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from engine.agents.base import Agent
from engine.agents.registry import check_job
from engine.config import MatchSettings, NeedsSettings, RouteSettings, Settings
from engine.config.routes import CardDefault, TargetSettings, words
from engine.dispatch.privacy import Privacy
from engine.errors import HeadwayError, UsageError
from engine.model import JobSpec, Permission, Target
from engine.model.route import RouteCause, RoutePolicy
from engine.paths import expanded
from engine.permission import chosen
from engine.units import milliseconds

CHARACTERS_A_TOKEN = 4  #: of English text and code, as the models' own tools estimate it
MICROS = 1_000_000


@dataclass(frozen=True, slots=True)
class Station:
    """A target of a route, with what the settings say of it."""

    target: Target
    context: int | None = None
    """Tokens."""
    cost: int | None = None
    """Micro-dollars of one job."""


@dataclass(frozen=True, slots=True)
class Route:
    """A route, with the targets of those that come after it behind its own."""

    name: str
    stations: tuple[Station, ...]
    policies: Mapping[RouteCause, RoutePolicy] = field(default_factory=dict)
    """What is not in it happens as without a route."""
    patience: int = 0
    """Milliseconds."""
    most: int | None = None
    """Micro-dollars that the moves of a job may add."""
    needs: NeedsSettings = field(default_factory=NeedsSettings)
    timeout: int = 0
    """Milliseconds until a card is answered by itself; 0 is never."""
    default: CardDefault = CardDefault.WAIT

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(one.target for one in self.stations)

    def reroutes(self, causes: Iterator[RouteCause] | frozenset[RouteCause]) -> bool:
        """Whether it moves jobs because of one of these."""
        return any(self.policies.get(cause) is RoutePolicy.REROUTE for cause in causes)


@dataclass(frozen=True, slots=True)
class Traits:
    """What routes look at in a job."""

    project: str | None = None
    """A directory."""
    kind: str | None = None
    tags: frozenset[str] = frozenset()
    triage: str | None = None
    tokens: int = 0
    """Of its prompt, about."""

    @classmethod
    def of(cls, spec: JobSpec, project: str | None) -> Traits:
        tokens = -(-len(spec.prompt) // CHARACTERS_A_TOKEN)
        return cls(project, spec.kind, frozenset(spec.tags), spec.triage, tokens)


@dataclass(frozen=True, slots=True)
class Matched:
    """The route that a job takes, if any, and what decided it, in the order in which it was looked at."""

    route: Route | None
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Routebook:
    """All routes, and what can be said of any target. One for an engine."""

    settings: Settings = field(default_factory=Settings)
    agents: Mapping[str, Agent] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)
    privacy: Privacy = field(default_factory=Privacy)

    @classmethod
    def of(cls, settings: Settings, agents: Mapping[str, Agent], environ: Mapping[str, str] | None = None) -> Routebook:
        routes = {name: _route(name, one, settings) for name, one in settings.routes.items()}
        return cls(settings, agents, routes, Privacy.of(settings, agents, environ or {}))

    def match(self, traits: Traits) -> Matched:
        """The first route that fits a job."""
        why: list[str] = []
        for name, said in self.settings.routes.items():
            if not said.matches:
                continue
            misses = []
            for one in said.matches:
                fits, text = _fits(one, traits, self.settings)
                if fits:
                    return Matched(self.routes[name], (*why, f"it matches {name}: {text}"))
                misses.append(text)
            why.append(f"it does not match {name}: {'; '.join(misses)}")
        return Matched(None, (*why, "no route matches it"))

    def is_told(self, target: Target) -> bool:
        """Whether an agent is told in words what was done before it."""
        agent = self.agents.get(target.agent)
        return agent is not None and (agent.resumable or agent.converses)

    def lacks(self, station: Station, needs: NeedsSettings, spec: JobSpec, project: str | None) -> str:
        """What a target cannot do that a route or a job needs, or why it may not; empty where there is nothing.

        How much its model's window holds is not looked at: see `too_small`.
        """
        target = station.target
        agent = self.agents.get(target.agent)
        if agent is None:
            return f"there is no agent {target.agent!r}"
        if why := self.privacy.barred(target, project):
            return why
        asks = needs.ask or (spec.permission is Permission.ASK and agent.provider)
        for wanted, able, what in (
            (needs.tools, agent.effects, "has no tools"),
            (needs.schema or spec.schema is not None, agent.answers, "takes no schema"),
            (needs.system or spec.system is not None, agent.answers, "takes no system prompt"),
            (asks, agent.asks, "cannot ask while it works"),
        ):
            if wanted and not able:
                return f"{target.agent} {what}"
        try:
            check_job(_on(spec, target), target.agent, target.model, self.settings)
            chosen(spec.permission, target.agent, project, self.settings)
        except HeadwayError as error:
            return error.message
        return ""


def first(book: Routebook, route: Route, spec: JobSpec, project: str | None) -> Target:
    """Where a job of a route begins: at the first target that can do what it needs, or at the one that it names.

    Raises `UsageError` where there is none.
    """
    lacks = []
    for station in route.stations:
        target = station.target
        if not _is_named(spec, target):
            continue
        why = book.lacks(station, route.needs, spec, project)
        if not why:
            return target
        lacks.append(f"{target}: {why}")
    if not lacks:
        named = str(Target(spec.agent or "", spec.model, spec.account)).lstrip(":")
        raise UsageError(f"{named} is no target of route {route.name}: {', '.join(map(str, route.targets))}")
    raise UsageError(f"no target of route {route.name} can do it: {'; '.join(lacks)}")


def _is_named(spec: JobSpec, target: Target) -> bool:
    """Whether a target is one that the job allows by what it names itself."""
    wanted = ((spec.agent, target.agent), (spec.model, target.model), (spec.account, target.account))
    return all(named is None or named == has for named, has in wanted)


def too_small(needed: int | None, tokens: int, window: int | None) -> str:
    """Why a window (tokens, None where it is not known) does not hold a job; empty where it does.

    `needed`: what the route asks for; `tokens`: the prompt alone.
    """
    if needed is not None and window is None:
        return f"how much its window holds is not known, and {needed:,} tokens are needed"
    if window is not None and window < max(needed or 0, tokens):
        return f"its window holds {window:,} tokens, and {max(needed or 0, tokens):,} are needed"
    return ""


def _on(spec: JobSpec, target: Target) -> JobSpec:
    """What a job asks for, put to another target."""
    return replace(spec, account=target.account)


def _route(name: str, said: RouteSettings, settings: Settings) -> Route:
    policies = {
        RouteCause.LIMIT: said.limit,
        RouteCause.OVERLOAD: said.overload,
        RouteCause.AUTH: said.auth,
        RouteCause.CONTEXT: said.context,
        RouteCause.QUALITY: said.quality,
    }
    stations: dict[Target, Station] = {}
    for one in named(name, settings):
        station = _station(one, settings)
        stations.setdefault(station.target, station)
    return Route(
        name=name,
        stations=tuple(stations.values()),
        policies={cause: policy for cause, policy in policies.items() if policy is not None},
        patience=milliseconds(said.patience),
        most=None if said.max_added_cost is None else round(said.max_added_cost * MICROS),
        needs=said.needs,
        timeout=milliseconds(said.card.timeout),
        default=said.card.default,
    )


def named(name: str, settings: Settings) -> Iterator[TargetSettings]:
    """The targets of a route, then those of the one after it, and so on; each route once."""
    seen: set[str] = set()
    following: str | None = name
    while following is not None and following not in seen and (said := settings.routes.get(following)) is not None:
        seen.add(following)
        yield from said.named
        following = said.then


def _station(said: TargetSettings, settings: Settings) -> Station:
    found = Target.parse(said.target)
    target = Target(found.agent, found.model or settings.agent(found.agent).model, found.account)
    return Station(target, said.context, None if said.cost is None else round(said.cost * MICROS))


def _fits(match: MatchSettings, traits: Traits, settings: Settings) -> tuple[bool, str]:
    """Whether a job has all that is asked for; what it has, or the first thing that it has not."""
    has: list[str] = []
    for fits, what in _terms(match, traits, settings):
        if not fits:
            return False, what
        has.append(what)
    return True, ", ".join(has) or "every job does"


def _terms(match: MatchSettings, traits: Traits, settings: Settings) -> Iterator[tuple[bool, str]]:
    if projects := words(match.project):
        found = next((one for one in projects if _directory(one, settings) == traits.project), None)
        yield found is not None, f"project {found}" if found else f"its project is none of {', '.join(projects)}"
    for name, wanted, has in (
        ("kind", words(match.kind), [traits.kind] if traits.kind else []),
        ("tag", words(match.tag), sorted(traits.tags)),
        ("class", words(match.class_), [traits.triage] if traits.triage else []),
    ):
        if wanted:
            both = [one for one in wanted if one in has]
            yield bool(both), _said(name, both, wanted, has)
    if match.prompt_over is not None:
        yield traits.tokens > match.prompt_over, f"its prompt has about {traits.tokens:,} tokens"
    if match.prompt_under is not None:
        yield traits.tokens < match.prompt_under, f"its prompt has about {traits.tokens:,} tokens"


def _said(name: str, both: Sequence[str], wanted: Sequence[str], has: Sequence[str]) -> str:
    if both:
        return f"{name} {both[0]}"
    if not has:
        return f"it has no {name} {' or '.join(wanted)}"
    return f"its {name} is {', '.join(has)}, and not {' or '.join(wanted)}"


def _directory(project: str, settings: Settings) -> str:
    named = settings.projects.get(project)
    return named.directory if named is not None else str(expanded(project))


NOTHING = Routebook()  #: no route at all, and nothing that is private
