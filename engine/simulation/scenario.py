"""What is simulated: hosts, accounts with their limits, the work of a day and its weather. Read from YAML; no clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from engine.documents import parse
from engine.errors import UsageError
from engine.rehearsal import day as recorded
from engine.rehearsal.day import Kind, Share, Span, Trouble
from engine.units import milliseconds

SCENARIOS = Path(__file__).parent / "scenarios"
DEFAULT = "fleet"
HOURS = 24

Number = Annotated[int, Meta(ge=1, le=10_000_000)]


class Loss(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hosts that are lost for a time, with all that runs on them."""

    begins: Span
    lasts: Span
    count: Number = 1


class Hosts(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The machines that attempts run on. An attempt goes to the one that has the most slots free."""

    count: Number
    slots: Number
    """Attempts at once on each."""
    lost: list[Loss] = field(default_factory=list)


class Quota(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A window of an account: it closes when so many calls of the model were answered, and opens at its end."""

    window: str = "five_hour"
    calls: Number
    every: Span
    """How long a window is; they follow on each other, and begin at another time for each account."""
    told: bool = True
    """The provider says how much of it is used, and when it opens again."""


class Accounts(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Logins of one sort."""

    agent: str
    model: str | None = None
    count: Number
    slots: Number
    """Attempts at once on each (`max_running`)."""
    share: Annotated[float, Meta(gt=0)] = 1.0
    """Of the jobs."""
    windows: list[Quota] = field(default_factory=list)
    reserve: Share = 0.0
    """Of each window, kept for urgent work (`pacing`)."""


class Arrivals(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many jobs come, and when. One of `hours` and `day`."""

    jobs: Number
    hours: list[Annotated[float, Meta(ge=0)]] = field(default_factory=list)
    """The weight of each hour of the day, 24 of them. Within an hour they come as they like."""
    day: str | None = None
    """A recorded day of `headway drill day`, whose rate by the hour is taken."""


class Scenario(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole of it. Times are spans from its beginning."""

    about: str
    begins: datetime
    seed: int = 1
    lasts: Span = "24h"
    """What has not ended by then is counted as it stands."""
    hosts: Hosts
    startup: Span = "3s"
    """From the claim to the first call of the model: workspace, process, prompt."""
    call: Span = "30s"
    """How long one call of a model takes, with the tools that the agent runs between."""
    projects: Annotated[int, Meta(ge=1, le=10_000)] = 1
    """The jobs are spread over so many, and so are the accounts: a project's jobs use its own, where it has some."""
    accounts: dict[str, Accounts]
    kinds: dict[str, Kind]
    arrivals: Arrivals
    outages: list[Trouble] = field(default_factory=list)
    """Times in which all calls of some sorts of accounts are refused (529)."""
    crashes: Share = 0.0
    """Of the attempts: the agent dies in the middle."""
    reroutes: Share = 0.0
    """Of the jobs: where their account is closed, they go on at another of their project and sort."""
    patience: Span = "20m"
    """A limit that ends within this time is waited for, by these too."""

    @property
    def zero(self) -> int:
        """Its beginning, milliseconds UTC."""
        return round(self.begins.timestamp() * 1000)

    @property
    def span(self) -> int:
        """How long it lasts, in milliseconds."""
        return milliseconds(self.lasts)

    @property
    def agents(self) -> int:
        """Attempts that the hosts hold at once."""
        return self.hosts.count * self.hosts.slots

    @property
    def weights(self) -> list[float]:
        """The weight of each hour of the day."""
        if self.arrivals.day is None:
            return self.arrivals.hours
        return _recorded(recorded.read(self.arrivals.day))


def sized(scenario: Scenario, agents: int | None = None, hosts: int | None = None, jobs: int | None = None) -> Scenario:
    """The scenario in another size. Fewer agents have fewer accounts and jobs, so that the day is as hard."""
    part = (agents or scenario.agents) / scenario.agents
    count = hosts or (scenario.hosts.count if agents is None else max(1, round(scenario.hosts.count * part)))
    slots = max(1, -(-(agents or scenario.agents) // count))
    accounts = {name: replace(one, count=max(1, round(one.count * part))) for name, one in scenario.accounts.items()}
    arrivals = replace(scenario.arrivals, jobs=jobs or max(1, round(scenario.arrivals.jobs * part)))
    projects = max(1, round(scenario.projects * part))
    places = replace(scenario.hosts, count=count, slots=slots)
    return replace(scenario, hosts=places, accounts=accounts, projects=projects, arrivals=arrivals)


def _recorded(day: recorded.Day) -> list[float]:
    """The rate of a recorded day by the hour from its beginning; what comes after a day is left out."""
    hour = milliseconds("1h")
    found = [0.0] * HOURS
    for one in day.arrivals:
        begins, over = milliseconds(one.at), milliseconds(one.over)
        for at in range(HOURS):
            within = max(0, min(begins + over, (at + 1) * hour) - max(begins, at * hour))
            found[at] += one.share * (within / over if over else float(begins // hour == at))
    return found


def names() -> list[str]:
    """The scenarios that come with Headway."""
    return sorted(path.stem for path in SCENARIOS.glob("*.yaml"))


def read(name: str = DEFAULT) -> Scenario:
    """A scenario by its name, or by the path of a YAML file. Raises `UsageError` with the file and the place."""
    path = Path(name) if "/" in name or name.endswith((".yaml", ".yml")) else SCENARIOS / f"{name}.yaml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        known = ", ".join(names())
        raise UsageError(f"there is no scenario {name!r}: there are {known}, or give a YAML file") from None
    scenario = parse(text, str(path), Scenario)
    for complaint in _complaints(scenario):
        raise UsageError(f"{path}: {complaint}")
    return scenario


def _complaints(scenario: Scenario) -> Iterator[str]:
    if scenario.begins.tzinfo is None:
        yield "begins: say in which time zone, such as 2026-11-02T00:00:00Z"
    if (scenario.arrivals.day is None) == (not scenario.arrivals.hours):
        yield "arrivals: say either hours or day"
    if scenario.arrivals.hours and len(scenario.arrivals.hours) != HOURS:
        yield f"arrivals.hours: a day has {HOURS}, and these are {len(scenario.arrivals.hours)}"
    if not scenario.accounts or not scenario.kinds:
        yield "it needs accounts and kinds"
    for kind, one in scenario.kinds.items():
        if one.calls[0] > one.calls[1]:
            yield f"kinds.{kind}: calls go from few to many"
    for trouble in scenario.outages:
        for name in trouble.accounts:
            if name not in scenario.accounts:
                yield f"outages: there are no accounts {name!r}"
    for span in _spans(scenario):
        try:
            milliseconds(span)
        except ValueError as error:
            yield str(error)
    if not any(scenario.weights):
        yield "arrivals: no hour has any"


def _spans(scenario: Scenario) -> Iterator[Span]:
    yield from (scenario.lasts, scenario.startup, scenario.call, scenario.patience)
    for accounts in scenario.accounts.values():
        yield from (one.every for one in accounts.windows)
    for trouble in scenario.outages:
        yield from (trouble.begins, trouble.lasts)
    for loss in scenario.hosts.lost:
        yield from (loss.begins, loss.lasts)
