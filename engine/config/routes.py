"""What headway.yaml says of routes: which targets in which order, for which jobs, and what is done about each cause."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, field

from engine.config import checks
from engine.documents import Complaint, Keys, nearest
from engine.model import TAG, Target
from engine.model.route import RoutePolicy

if TYPE_CHECKING:
    from engine.config.settings import Settings

KNOWN_PROVIDERS = ("anthropic", "openai", "google", "bedrock", "vertex", "foundry", "ollama", "openrouter", "local")
Tokens = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Dollars = Annotated[float, Meta(ge=0, le=1_000_000)]
Words = str | list[str]


class TargetSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A target of a route, where more is to be said of it than its name."""

    target: str
    context: Tokens | None = None
    """Tokens that its model's window holds, where Headway does not know or is wrong."""
    cost: Dollars | None = None
    """What one job of this route costs there, likewise."""


class MatchSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which jobs take a route: all that is said has to hold, and of a list one is enough. Nothing said: every job."""

    project: Words | None = None
    """Names of the settings, or directories."""
    kind: Words | None = None
    tag: Words | None = None
    class_: Words | None = field(name="class", default=None)
    """What triage made of it."""
    prompt_over: Annotated[int, Meta(ge=0)] | None = None
    """Tokens, about."""
    prompt_under: Annotated[int, Meta(ge=1)] | None = None


class NeedsSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What each target of a route has to be able to do. What a job asks for itself is looked at as well."""

    tools: bool = False
    """Work on files and run commands."""
    schema: bool = False
    """Answer by a JSON Schema."""
    system: bool = False
    """Take a system prompt."""
    ask: bool = False
    """Ask the operator while it works."""
    context: Tokens | None = None
    """Tokens that its model's window holds at least."""


class CardDefault(StrEnum):
    """What is done when nobody answers."""

    WAIT = "wait"
    REROUTE = "reroute"
    STOP = "stop"


class CardSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The card of a policy `ask`."""

    timeout: str | int = "1h"
    """Unanswered so long, the default is taken; 0 is never."""
    default: CardDefault = CardDefault.WAIT


class RouteSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A route. Which job takes it is said by the job, or by the first `match` that fits it."""

    targets: Annotated[list[str | TargetSettings], Meta(min_length=1)]
    """Where it may run, the best first."""
    then: str | None = None
    """A route whose targets come after these."""
    match: MatchSettings | list[MatchSettings] | None = None
    """Unset: only jobs that name it."""
    limit: RoutePolicy = RoutePolicy.WAIT
    overload: RoutePolicy = RoutePolicy.WAIT
    auth: RoutePolicy | None = None
    """Unset, for this and the next two: what happens without a route."""
    context: RoutePolicy | None = None
    quality: RoutePolicy | None = None
    patience: str | int = 0
    """A limit or an overload that ends within this time is waited for, and not moved away from."""
    max_added_cost: Dollars | None = None
    """Dollars that the moves of one job may add to what it costs at the first target."""
    needs: NeedsSettings = field(default_factory=NeedsSettings)
    card: CardSettings = field(default_factory=CardSettings)

    @property
    def matches(self) -> Sequence[MatchSettings]:
        if self.match is None:
            return ()
        return self.match if isinstance(self.match, list) else (self.match,)

    @property
    def named(self) -> Sequence[TargetSettings]:
        """Its own targets, each in its long form."""
        return [TargetSettings(target=one) if isinstance(one, str) else one for one in self.targets]


def words(given: Words | None) -> Sequence[str]:
    """One word or several, as a list."""
    return [given] if isinstance(given, str) else given or ()


def complaints(settings: Settings, agents: Collection[str]) -> Iterator[Complaint]:
    """What is wrong with routes, and with the providers of projects."""
    for name, route in settings.routes.items():
        at: Keys = ("routes", name)
        if not re.fullmatch(TAG, name):
            yield at, "a name is made of letters, digits and . _ / -"
        yield from _targets(at, route, settings, agents)
        yield from _matches(at, route, settings)
        yield from _follows(name, settings)
        yield from checks.spans(at, route, "patience")
        yield from checks.spans((*at, "card"), route.card, "timeout")
    for name, project in settings.projects.items():
        for place, provider in enumerate(project.providers):
            near = difflib.get_close_matches(provider, _providers(settings), 1, 0.75)
            if near and near[0] != provider:
                yield ("projects", name, "providers", place), f"{provider!r} is no provider; did you mean {near[0]!r}?"


def _targets(at: Keys, route: RouteSettings, settings: Settings, agents: Collection[str]) -> Iterator[Complaint]:
    seen: set[Target] = set()
    for place, one in enumerate(route.named):
        keys: Keys = (*at, "targets", place)
        target = Target.parse(one.target)
        if target in seen:
            yield keys, f"{one.target} stands here twice"
        seen.add(target)
        if target.agent not in agents:
            yield keys, f"{one.target}: there is no agent {target.agent!r}; {nearest(target.agent, agents)}"
        elif target.agent == "shell":
            yield keys, f"{one.target}: shell runs command lines and not prompts; leave it out"
        elif target.account is not None:
            known = [name for name, account in settings.accounts.items() if account.agent == target.agent]
            if target.account not in known:
                hint = nearest(target.account, known) if known else "accounts: names none for it"
                yield keys, f"{one.target}: {target.agent} has no account {target.account!r}; {hint}"


def _matches(at: Keys, route: RouteSettings, settings: Settings) -> Iterator[Complaint]:
    for place, one in enumerate(route.matches):
        keys: Keys = (*at, "match", place) if isinstance(route.match, list) else (*at, "match")
        for project in words(one.project):
            if project not in settings.projects and not project.startswith(("/", "~")):
                hint = nearest(project, settings.projects) if settings.projects else "give its directory"
                yield (*keys, "project"), f"there is no project {project!r}; {hint}"
        if one.prompt_over is not None and one.prompt_under is not None and one.prompt_over >= one.prompt_under:
            yield keys, f"no prompt is over {one.prompt_over:,} and under {one.prompt_under:,} tokens"


def _follows(name: str, settings: Settings) -> Iterator[Complaint]:
    then = settings.routes[name].then
    if then is None:
        return
    if then not in settings.routes:
        yield ("routes", name, "then"), f"there is no route {then!r}; {nearest(then, settings.routes)}"
    elif (circle := _circle(name, settings.routes)) and min(circle) == name:  # once, and not at each of its members
        yield ("routes", name, "then"), f"these go round in a circle: {' -> '.join([*circle, circle[0]])}"


def _circle(name: str, routes: Mapping[str, RouteSettings]) -> list[str]:
    """The routes that lead from one back to it, in their order; none where they do not."""
    walked = [name]
    while (then := routes[walked[-1]].then) is not None and then in routes:
        if then == name:
            return walked
        if then in walked:
            return []  # a circle further on: its own members tell of it
        walked.append(then)
    return []


def _providers(settings: Settings) -> list[str]:
    """Names of providers that are known: there may be others, such as those of opencode."""
    own = settings.agents["llm"].providers if "llm" in settings.agents else {}
    return [*KNOWN_PROVIDERS, *own]
