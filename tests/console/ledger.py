"""Scenes of the console's lists: an engine whose every list has something in it."""

from __future__ import annotations

from engine import events as log
from engine.budgets import Amount, BudgetLine, Per
from engine.budgets import Standing as BudgetStanding
from engine.events import Event
from engine.memory.item import Item, Kind, Source
from engine.memory.item import Standing as Holds
from engine.model import (
    AccountStatus,
    AgentStatus,
    Breaker,
    Cap,
    DiffStat,
    Failure,
    Grade,
    JobSpec,
    Race,
    RaceEntry,
    RaceState,
    Scoreboard,
    ScoreLine,
    Share,
    State,
)
from engine.model.forecast import Burn, Forecast, Pace, Through
from engine.model.route import Expected, RouteCause, RouteChoice, RoutePolicy, RouteStatus
from engine.model.route import Standing as Target
from engine.model.route import WindowState as Window
from engine.model.tax import Part, Spent, Tax
from engine.money import By, SpendLine
from engine.schedule import Firing, Outcome, Schedule, ScheduleDetail, ScheduleSpec
from engine.skills.skill import How, Skill
from engine.skills.skill import Source as Shelf
from engine.skills.stats import SkillCount, SkillUse
from engine.window import Standing, WindowState
from tests.console import scenes
from tests.console.fake import FakeEngine
from tests.console.journeys import lay_journeys
from tests.console.moment import MINUTE, NOW

HOUR = 60 * MINUTE
DAY = 24 * HOUR


def laden() -> FakeEngine:
    engine = scenes.busy()
    lay(engine)
    return engine


def lay(engine: FakeEngine) -> None:
    """Something into every list."""
    engine.books.windows = windows()
    engine.books.breakers = [
        Breaker("codex:gpt-6@team", Failure.OVERLOADED, (NOW - 3 * MINUTE, NOW - MINUTE), NOW + 7 * MINUTE, opened=2)
    ]
    engine.books.forecast = Forecast(
        now=NOW,
        through=Through(
            jobs=5, finish=NOW + 3 * HOUR, finish_late=NOW + 5 * HOUR, cost_micros=4_200_000,
            cost_late_micros=6_900_000, games=200,
        ),
        paces=[Pace(account="claude@work", hours=3.0, tokens=2_140_000, cost_micros=42_600_000, grade=Grade.COMPUTED)],
        burns=[
            Burn(
                account="claude@work", window="five_hour", used=0.74, seen_at=NOW - MINUTE, rate=0.2,
                resets_at=NOW + 134 * MINUTE, since=NOW - 2 * HOUR, wall=NOW + 78 * MINUTE,
            )
        ],
    )  # fmt: skip
    lay_money(engine)
    lay_schedules(engine)
    lay_memory(engine)
    lay_skills(engine)
    lay_routes(engine)
    lay_health(engine)
    lay_journeys(engine)


def windows() -> list[WindowState]:
    return [
        WindowState(
            account="claude@work", window="five_hour", model="", standing=Standing.OPEN, used=0.74,
            resets_at=NOW + 134 * MINUTE, until=None, source="claude rate_limit_event", observed_at=NOW - MINUTE,
            length=5 * HOUR, waiting=0,
        ),
        WindowState(
            account="claude@work", window="seven_day", model="opus", standing=Standing.WARNING, used=0.91,
            resets_at=NOW + 3 * DAY + 4 * HOUR, until=None, source="claude rate_limit_event", observed_at=NOW - MINUTE,
            length=7 * DAY, waiting=0,
        ),
        WindowState(
            account="codex@team", window="requests", model="", standing=Standing.CLOSED, used=1.0,
            resets_at=NOW + 41_000, until=NOW + 41_000, source="codex rate_limits", observed_at=NOW - 9_000,
            length=MINUTE, waiting=3,
        ),
        WindowState(
            account="gemini", window="requests_per_day", model="", standing=Standing.UNKNOWN, used=None,
            resets_at=None, until=None, source="gemini quota", observed_at=NOW - DAY, length=DAY, waiting=0,
        ),
    ]  # fmt: skip


def _spent(name: str, dollars: float, grade: Grade = Grade.REPORTED, attempts: int = 10, **rest: int) -> SpendLine:
    counts = {"input_tokens": 210_000, "output_tokens": 41_000, "cache_read_tokens": 1_900_000} | rest
    return SpendLine(name=name, cost_micros=int(dollars * 1_000_000), grade=grade, attempts=attempts, **counts)


def lay_money(engine: FakeEngine) -> None:
    books = engine.books
    books.lines[By.MODEL] = [
        _spent("opus-5", 61.02, attempts=31),
        _spent("sonnet-5", 22.80, Grade.COMPUTED, 58),
        _spent("gpt-6", 2.3, Grade.ESTIMATED, 4, unpriced_tokens=12_000),
    ]
    books.lines[By.PROJECT] = [_spent("/src/core-engine", 40.11), _spent("/src/billing", 21.9), _spent("", 0.2)]
    books.lines[By.JOB] = [_spent("4812", 3.118), _spent("4833", 1.204)]
    books.lines[By.DAY] = [
        _spent(f"2026-09-{day}", dollars) for day, dollars in enumerate((9, 0, 14, 31, 22, 86.12), 16)
    ]
    books.budgets = [
        BudgetLine(
            scope="day", per=Per.DAY, since=NOW - 14 * HOUR, until=NOW + 10 * HOUR, warn=Amount(micros=100_000_000),
            cap=Amount(micros=120_000_000), allowed=None, spent_micros=86_120_000, spent_tokens=4_100_000,
            grade=Grade.COMPUTED, standing=BudgetStanding.OPEN, source="headway.yaml",
        ),
        BudgetLine(
            scope="project:core-engine", per=Per.MONTH, since=NOW - 20 * DAY, until=NOW + 10 * DAY, warn=None,
            cap=Amount(micros=300_000_000), allowed=None, spent_micros=300_400_000, spent_tokens=9_000_000,
            grade=Grade.ESTIMATED, standing=BudgetStanding.USED_UP, source="headway.yaml",
        ),
    ]  # fmt: skip
    whole = Spent(attempts=99, tokens=4_100_000, cost_micros=86_120_000, grade=Grade.COMPUTED, ms=9 * HOUR)
    tax = Spent(attempts=9, tokens=370_000, cost_micros=9_400_000, grade=Grade.COMPUTED, ms=HOUR)
    books.tax = Tax(since=NOW - DAY, project=None, all=whole, useful=whole, tax=tax, parts={Part.RETRIES: tax})


def lay_schedules(engine: FakeEngine) -> None:
    def one(name: str, cron: str, says: str, next_at: int, last: Firing | None, paused: str | None = None) -> Schedule:
        spec = ScheduleSpec(cron=cron, job=JobSpec(prompt=f"do {name}", project="/src/core-engine"))
        return Schedule(
            name=name, spec=spec, by="operator", zone="UTC", says=says, added_at=NOW - 9 * DAY, paused_by=paused,
            last_fire_at=last.fire_at if last else None, last=last, next=[next_at + DAY * n for n in range(5)],
        )  # fmt: skip

    good = Firing(fire_at=NOW - 12 * HOUR, at=NOW - 12 * HOUR, outcome=Outcome.FIRED, job=4806)
    bad = Firing(fire_at=NOW - 3 * DAY, at=NOW - 3 * DAY, outcome=Outcome.MISSED, reason="no engine ran")
    books = engine.books
    books.schedules = [
        one("dep-bump", "0 6 * * 1", "at 06:00 on Monday", NOW + 4 * DAY, bad, "operator"),
        one("nightly-review", "0 2 * * *", "at 02:00", NOW + 12 * HOUR, good),
        one("weekly-report", "0 9 * * 5", "at 09:00 on Friday", NOW + 2 * DAY, None),
    ]
    for schedule in books.schedules:
        firings = [schedule.last] if schedule.last else []
        books.details[schedule.name] = ScheduleDetail(schedule=schedule, firings=firings)


def lay_memory(engine: FakeEngine) -> None:
    def one(id: int, text: str, kind: Kind = Kind.FACT, days: int = 3, **rest: object) -> Item:
        at = NOW - days * DAY
        fields: dict[str, object] = {"scope": "project:/src/core-engine"} | rest
        return Item(id=id, kind=kind, text=text, created_at=at, updated_at=at, **fields)  # type: ignore[arg-type]

    engine.books.items = [
        one(14, "parser/ is canonical; legacy/ is frozen", Kind.DECISION, use_count=12, helped=9, importance=1.0,
            subject="the parser", source=Source(by="claude", job=4833, attempt=1, evidence=["docs/adr/7.md:12"])),
        one(13, "prefer table-driven tests", Kind.PREFERENCE, 9, scope="global", use_count=4),
        one(12, "the bench needs --quiet on this host", Kind.PROCEDURE, 1, standing=Holds.PROPOSED),
        one(9, "the cache schema is v2", days=40, standing=Holds.SUPERSEDED, superseded_by=14),
    ]  # fmt: skip
    engine.books.core["global"] = "Answer in short sentences.\n"


def lay_skills(engine: FakeEngine) -> None:
    books = engine.books
    books.skills = [
        Skill(name="run-migrations", description="Migrations, with a dry run before each.", source=Shelf.PROJECT,
              path="/src/core-engine/.headway/skills/run-migrations/SKILL.md", tags=["db"], tokens=812, files=3,
              sha256="ab12cd34ef567890"),
        Skill(name="small-steps", description="One change at a time, each with its test.", tokens=420, files=1,
              path="/skills/small-steps/SKILL.md", sha256="0011223344556677"),
        Skill(name="broken", description="", path="/home/you/.config/headway/skills/broken/SKILL.md", source=Shelf.USER,
              problem="it has no description"),
    ]  # fmt: skip
    books.counts = [
        SkillCount(name="run-migrations", given=41, told=0, own=0, left_out=2, used=38, succeeded=38, failed=1,
                   used_succeeded=36, last_at=NOW - 4 * MINUTE)
    ]  # fmt: skip
    books.texts = {"run-migrations": "# Run migrations\n\nFirst a dry run.\n"}
    books.uses = {
        "run-migrations": [
            SkillUse(job=4833, attempt=1, at=NOW - 4 * MINUTE, title="parser: keep comments", how=How.NATIVE, used=True,
                     succeeded=None)
        ]
    }  # fmt: skip


def lay_routes(engine: FakeEngine) -> None:
    opus = Target(
        target="claude:opus@work", window=Window.WARNING, used=0.91, expected=Expected(410_000, 31), here=True
    )
    sonnet = Target(target="claude:sonnet@work", window=Window.OPEN, used=0.3, added=-120_000)
    shut = Target(
        target="codex:gpt-6@team", window=Window.CLOSED, closed="its requests are used up", until=NOW + 41_000
    )
    policies = {RouteCause.LIMIT: RoutePolicy.WAIT, RouteCause.QUALITY: RoutePolicy.ASK}
    books = engine.books
    books.routes = [
        RouteStatus(name="security", matches=["tag: security"], policies=policies, targets=[opus], jobs=4),
        RouteStatus(name="docs", matches=["kind: docs", "project: docs"], policies=policies, targets=[shut, sonnet],
                    options=["at most $2 more"], jobs=58, moves=2),
        RouteStatus(name="by-codex", matches=[], policies=policies, targets=[shut]),
    ]  # fmt: skip
    books.choice = RouteChoice(route="docs", why=["kind: docs"], target="claude:sonnet@work", targets=[shut, sonnet])
    entry = RaceEntry(job=4806, lot=1, target="claude:opus@work", state=State.SUCCEEDED, fit=True, passed=True,
                      diff=DiffStat(files=2, added=31, removed=9), result="Both are kept.", took_ms=8 * MINUTE,
                      cost_micros=551_000, cost_grade=Grade.REPORTED)  # fmt: skip
    books.races = [
        Race(id=3, at=NOW - HOUR, by="operator", title="which parser is faster?", state=RaceState.OPEN,
             why="both pass all checks", checks=["make test"],
             entries=[entry, RaceEntry(job=4805, lot=2, target="codex:gpt-6@team", state=State.CANCELLED)])
    ]  # fmt: skip
    books.board = Scoreboard(lines=[
        ScoreLine(target="claude:opus@work", kind="docs", jobs=31, first=Share(26, 31, 0.67, 0.92), gated=20,
                  succeeded=Share(30, 31, 0.84, 0.99), rounds=1.2, took=None, cost=None, spent_micros=61_020_000)
    ])  # fmt: skip


def lay_health(engine: FakeEngine) -> None:
    books = engine.books
    engine.agents_here = [
        AgentStatus(agent="claude", program="claude", version="2.1.0", accounts=[
            AccountStatus(name="work", ok=True, found="signed in", expires_at=NOW + 3 * DAY)]),
        AgentStatus(agent="codex", program="codex", version="0.60.1", accounts=[
            AccountStatus(name="team", ok=False, found="its key is refused", mend="codex login")]),
        AgentStatus(agent="gemini", program="gemini", version=None, problem="gemini is not on the PATH"),
    ]  # fmt: skip
    books.caps = [Cap(scope="agent:claude", limit=4, running=3, source="headway.yaml")]
    books.events = [
        Event(seq=8, at=NOW - 3 * MINUTE, body=log.Held(by="operator"), job=4839),
        Event(seq=9, at=NOW - 2 * MINUTE, body=log.Released(by="operator"), job=None),
        Event(seq=10, at=NOW - MINUTE, body=log.Retried(by="operator"), job=4833),
    ]
