"""What can be said of routes: how they stand, which one a job takes and why, where it may go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from engine.config import MatchSettings, NeedsSettings, RouteSettings
from engine.config.routes import words
from engine.dispatch import rerouting
from engine.dispatch.routebook import Route, Routebook, Station, Traits, first, too_small
from engine.dispatch.routing import Ask, Move, Stay, Stop, Trouble, Verdict, decide
from engine.dispatch.standings import Facts
from engine.documents import nearest
from engine.errors import NotFoundError, UsageError
from engine.model import PRIORITY_DEFAULT, JobSpec, State, Target
from engine.model.route import (
    Foreseen,
    Rerouting,
    RouteCause,
    RouteChoice,
    RoutePolicy,
    RouteQuery,
    RouteStatus,
    Standing,
)
from engine.store import Store, Transaction, moves
from engine.store.rows import JobRow, read_job, read_spec
from engine.units import milliseconds

DAY_MS = 86_400_000
SEEN = 20  #: further targets, those that were used of late, that are offered to a job without a route


class Routes:
    """One for an engine."""

    def __init__(self, store: Store, book: Routebook) -> None:
        self._store = store
        self.book = book

    async def listed(self) -> list[RouteStatus]:
        """Each route of the settings, in the order in which they are matched."""
        return await self._store.look(self._listed)

    async def moves(self, job: int) -> list[Rerouting]:
        """Where a job went, the oldest move first."""
        return await self._store.look(lambda tx: moves.of_job(tx, job))

    async def foresee(self, rows: Mapping[int, JobRow], specs: Sequence[JobSpec] = ()) -> dict[int, JobRow]:
        """Jobs of a preview as they would stand after the next look at the queue. `specs`: theirs, where the store
        has none of them.
        """
        known = dict(zip(sorted(rows), specs, strict=True)) if len(specs) == len(rows) else {}
        if not self.book.routes or (specs and not known):
            return dict(rows)
        return await self._store.look(lambda tx: rerouting.foresee(tx, self.book, rows, known))

    async def of_job(self, job: int) -> RouteChoice:
        """The route of a job, how its targets stand for it, and what would be done. Raises `NotFoundError`."""

        def look(tx: Transaction) -> RouteChoice:
            row = read_job(tx.connection, job)
            if row is None:
                raise NotFoundError(f"there is no job {job}; `headway jobs` lists them")
            return self._choice(tx, row, read_spec(tx.connection, row))

        return await self._store.look(look)

    async def explain(self, query: RouteQuery) -> RouteChoice:
        """The route that a job would take if it were submitted now. Raises `UsageError`."""
        return await self._store.look(lambda tx: self._would(tx, query))

    def notes(self, tx: Transaction, row: JobRow) -> list[str]:
        """What is to be known of a job's route where it is explained."""
        if row.route is None:
            return []
        route = self.book.routes.get(row.route)
        if route is None:
            return [f"its route {row.route} is not in headway.yaml any more: nothing but you moves it"]
        if row.target not in route.targets:
            return [
                f"it was sent to {row.target}, which is no target of its route {route.name}: nothing but you moves it"
            ]
        says = ", ".join(f"on {cause} {_WORDS[policy]}" for cause, policy in route.policies.items())
        return [f"it takes the route {route.name}: {', then '.join(map(str, route.targets))}; {says}"]

    def _listed(self, tx: Transaction) -> list[RouteStatus]:
        facts = Facts.read(tx, self.book)
        taken, made = moves.tallies(tx, tx.now - DAY_MS)
        return [
            RouteStatus(
                name=name,
                matches=[_in_words(one) for one in self.book.settings.routes[name].matches],
                policies=dict(route.policies),
                targets=[facts.standing(station, route) for station in route.stations],
                options=_options(self.book.settings.routes[name]),
                jobs=taken.get(name, 0),
                moves=made.get(name, 0),
            )
            for name, route in self.book.routes.items()
        ]

    def _would(self, tx: Transaction, query: RouteQuery) -> RouteChoice:
        spec = JobSpec(
            prompt=query.prompt or " ", kind=query.kind, tags=query.tags, triage=query.triage, route=query.route
        )
        project = self._directory(query.project)
        if query.route is not None:
            route = self.book.routes.get(query.route)
            if route is None:
                raise UsageError(f"there is no route {query.route!r}; {nearest(query.route, self.book.routes)}")
            why: tuple[str, ...] = ("it names it",)
        else:
            matched = self.book.match(Traits.of(spec, project))
            route, why = matched.route, matched.why
        settings = self.book.settings
        target = Target(settings.default_agent, settings.agent(settings.default_agent).model)
        if route is not None:
            target = first(self.book, route, spec, project)
        row = JobRow(
            id=0,
            state=State.READY,
            title="",
            agent=target.agent,
            model=target.model,
            account=target.account,
            project=project,
            priority=PRIORITY_DEFAULT,
            created_at=tx.now,
            kind=query.kind,
            route=route.name if route is not None else None,
        )
        return self._told(tx, row, spec, route, list(why), [])

    def _choice(self, tx: Transaction, row: JobRow, spec: JobSpec) -> RouteChoice:
        route = self.book.routes.get(row.route or "")
        why = [moves.why_routed(tx, row) or "it names its target itself, or nothing matched when it was submitted"]
        if row.route is not None and route is None:
            why.append(f"headway.yaml has no route {row.route} any more")
        elif route is not None and row.target not in route.targets:
            why.append(f"it was sent to {row.target}, which is no target of it")
        return self._told(tx, row, spec, route, why, moves.of_job(tx, row.id))

    def _told(
        self, tx: Transaction, row: JobRow, spec: JobSpec, route: Route | None, why: list[str], past: list[Rerouting]
    ) -> RouteChoice:
        facts = Facts.read(tx, self.book)
        if route is not None:
            standings = [one.standing for one in rerouting.survey(facts, row, spec, route, past)]
        else:
            standings = self._anywhere(facts, row, spec)
        foreseen = []
        if route is not None and row.target in route.targets:
            foreseen = [self._foresee(facts, row, spec, route, cause) for cause in RouteCause]
        return RouteChoice(
            route=route.name if route is not None else None,
            why=why,
            target=str(row.target),
            targets=standings,
            foreseen=foreseen,
            moves=past,
            spent=moves.spent(past) or 0,
            most=route.most if route is not None else None,
        )

    def _foresee(self, facts: Facts, row: JobRow, spec: JobSpec, route: Route, cause: RouteCause) -> Foreseen:
        """What would be done now; by the function that does it."""
        case = rerouting.case_of(facts, row, spec, route, Trouble(cause, started=row.attempts > 0))
        verdict = decide(case, facts.tx.now)
        return Foreseen(cause, route.policies.get(cause), _foreseen(verdict, cause))

    def _anywhere(self, facts: Facts, row: JobRow, spec: JobSpec) -> list[Standing]:
        """Where a job without a route could be sent: what the settings name, and what was used of late."""
        settings = self.book.settings
        named = [Target(agent, one.model) for agent, one in settings.agents.items()]
        named += [Target(one.agent, settings.agent(one.agent).model, name) for name, one in settings.accounts.items()]
        named += [Target.parse(one) for one in list(facts.seen())[:SEEN]]
        found = []
        for target in dict.fromkeys([row.target, *named]):
            station = Station(target)
            lacks = self.book.lacks(station, NeedsSettings(), spec, row.project)
            lacks = lacks or too_small(None, Traits.of(spec, row.project).tokens, facts.holding(station))
            one = facts.standing(station, None, row.kind)
            found.append(replace(one, here=target == row.target, lacks=lacks))
        return found

    def _directory(self, project: str | None) -> str | None:
        named = self.book.settings.projects.get(project or "")
        return named.directory if named is not None else project


_WORDS = {
    RoutePolicy.WAIT: "it waits",
    RoutePolicy.REROUTE: "it is rerouted",
    RoutePolicy.ASK: "you are asked",
    RoutePolicy.STOP: "it stops",
}

#: What happens where a route says nothing, or can do nothing.
_PLAIN = {
    RouteCause.LIMIT: "it waits for the reset",
    RouteCause.OVERLOAD: "it waits",
    RouteCause.AUTH: "it is held for you",
    RouteCause.CONTEXT: "it begins a new session",
    RouteCause.QUALITY: "it fails, unless the job may be repeated",
}
_STAYS = {
    RouteCause.LIMIT: "it waits for the reset",
    RouteCause.OVERLOAD: "it waits",
    RouteCause.AUTH: "it is tried again later",
    RouteCause.CONTEXT: "it begins a new session",
    RouteCause.QUALITY: "it is tried again in its session",
}


def _foreseen(verdict: Verdict, cause: RouteCause) -> str:
    match verdict:
        case Move(to):
            return f"it goes on at {to.target}"
        case Ask(choices=choices):
            offers = f": {', '.join(str(one.target) for one in choices)}" if choices else ""
            return f"you are asked{offers}"
        case Stop():
            return "it fails"
        case Stay(why, plain=plain):
            said = _PLAIN[cause] if plain else _STAYS[cause]
            return f"{said} ({why})" if why and "waits on" not in why else said


def _in_words(match: MatchSettings) -> str:
    """`project api or web, tag security`."""
    said = []
    for name, given in (
        ("project", match.project), ("kind", match.kind), ("tag", match.tag), ("class", match.class_),
    ):  # fmt: skip
        if given is not None:
            said.append(f"{name} {' or '.join(words(given))}")
    if match.prompt_over is not None:
        said.append(f"prompt over {match.prompt_over:,} tokens")
    if match.prompt_under is not None:
        said.append(f"prompt under {match.prompt_under:,} tokens")
    return ", ".join(said) or "every job"


def _options(said: RouteSettings) -> list[str]:
    found = []
    if milliseconds(said.patience):
        found.append(f"patience {said.patience}")
    if said.max_added_cost is not None:
        found.append(f"may add ${said.max_added_cost:.2f}")
    needs = [name for name in ("tools", "schema", "system", "ask") if getattr(said.needs, name)]
    if said.needs.context is not None:
        needs.append(f"a window of {said.needs.context:,} tokens")
    if needs:
        found.append(f"needs {', '.join(needs)}")
    return found
