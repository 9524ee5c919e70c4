"""A recorded day: what the engine promises holds on it, and does not hold for those who promise nothing."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from engine.drill import ours
from engine.drill.book import Entry
from engine.drill.optimum import STEP_MS, least_flow, pooled
from engine.drill.provider import Provider, Verdict
from engine.drill.report import Report, play
from engine.errors import UsageError
from engine.rehearsal.day import Account, Arrival, Day, FalseReset, Plan, Trouble, read

pytestmark = pytest.mark.long

JOBS = 120


async def played(chosen: Plan, policy: str, home: Path) -> Report:
    (found,) = await play(chosen, [policy], home)
    return found


def plan(seed: int = 1, jobs: int = JOBS) -> Plan:
    return Plan.of(read("weather"), seed, jobs)


def short(seed: int = 1, jobs: int = 50, **changes: object) -> Plan:
    """A day that is over before its second evening: no long jobs, and more room in the windows."""
    day = read("weather")
    kinds = {name: one for name, one in day.kinds.items() if name != "long"}
    accounts = {
        name: msgspec.structs.replace(one, quota=msgspec.structs.replace(one.quota, calls=one.quota.calls * 3 // 2))
        for name, one in day.accounts.items()
    }
    return Plan.of(msgspec.structs.replace(day, kinds=kinds, accounts=accounts, **changes), seed, jobs)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_no_job_is_lost_no_limit_uses_up_an_attempt_and_only_canaries_go_where_it_is_closed(
    stage: Path, seed: int
) -> None:
    report = await played(plan(seed), "headway", stage)
    assert report.broken == []
    assert (report.done, report.lost, report.failed, report.burnt, report.strays) == (JOBS, 0, 0, 0, 0)
    assert report.silent == report.wrong_model == 0
    assert report.unaware > 0 and report.canaries > 0, "a day on which no window closes shows nothing"
    assert report.added >= 0, "the bound is beaten, so it is none"


@pytest.mark.parametrize("by", ["+26h", "+40m", "-40m", "-100m"])
async def test_a_false_reset_costs_canaries_and_nobody_a_day(stage: Path, by: str) -> None:
    """What is told too early is tried by one; what is told too late is not waited for longer than a window lasts."""
    false = [FalseReset(account="ben", window=0, by=by)]
    day = msgspec.structs.replace(read("weather"), false_resets=false, routes={}, outages=[])
    chosen = Plan.of(day, 1, 60)
    played_ = await ours.play(chosen, stage)
    assert len(played_.book.ends) == 60 and played_.burnt == 0
    entries = [one.entry for one in played_.book.tries if one.account == "ben"]
    assert Entry.STRAY not in entries
    refused = [one for one in played_.book.tries if one.account == "ben" and one.entry is Entry.UNAWARE]
    assert refused, "it never closed, and nothing was shown"
    opens = Provider(chosen).opens(("ben", 0))
    after = min(one.begun for one in played_.book.tries if one.account == "ben" and one.begun >= opens)
    assert after - opens <= 5.2 * 3_600_000


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_naive_policies_break_what_the_engine_promises(stage: Path, seed: int) -> None:
    retry = await played(plan(seed), "retry", stage / "retry")
    assert retry.burnt > 0 and retry.failed > 0 and retry.strays > retry.canaries
    assert retry.moved == retry.wrong_model == 0
    fallback = await played(plan(seed), "fallback", stage / "fallback")
    assert fallback.burnt > 0 and fallback.failed > 0 and fallback.strays > fallback.canaries
    assert fallback.wrong_model > 0 and fallback.silent == fallback.moved > 0 and fallback.again > 0, (
        "who leaves a session does its work again"
    )
    for report in (retry, fallback):
        assert report.broken
        assert report.lost == 0
        assert report.added >= 0, "the bound is beaten, so it is none"


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_who_knows_the_weather_is_never_refused(stage: Path, seed: int) -> None:
    oracle = await played(plan(seed), "oracle", stage)
    assert (oracle.done, oracle.unaware, oracle.canaries, oracle.strays, oracle.refused) == (JOBS, 0, 0, 0, 0)
    assert oracle.broken == []
    assert oracle.beyond == 0
    assert oracle.added >= 0, "the bound is beaten, so it is none"


async def test_the_same_seed_gives_the_same_day(stage: Path) -> None:
    for policy in ("headway", "retry", "fallback"):
        one = await played(short(7, 30), policy, stage / policy / "1")
        other = await played(short(7, 30), policy, stage / policy / "2")
        assert one == other
    assert await played(short(8, 30), "headway", stage / "3") != one


async def test_the_ledger_is_the_provider_s_bill(stage: Path) -> None:
    """What agents printed went through their own adapters: to the token and the cent it is what the provider asks."""
    book = (await ours.play(short(), stage)).book
    with closing(sqlite3.connect(stage / "headway.db")) as database:
        rows = database.execute(
            "SELECT a.account, a.failure, total(input_tokens + output_tokens + cache_read_tokens + "
            "cache_write_tokens), total(cost_micros) FROM attempts AS a LEFT JOIN ledger ON attempt = a.id "
            "GROUP BY a.id ORDER BY a.id"
        ).fetchall()
    assert len(rows) == len(book.tries)
    # Who is killed cannot say what he has used: only codex, which keeps a record, has told it before.
    kept = Counter[str]()
    billed = Counter[str]()
    for (account, failure, tokens, cost), tried in zip(rows, book.tries, strict=True):
        assert account == tried.account
        if failure != "crashed":
            kept[account] += int(tokens)
            billed[account] += tried.tokens
            assert abs(cost - tried.cost_micros) <= 1 + tried.calls, "each message is rounded to a micro-dollar"
    assert kept == billed


async def test_a_crash_is_counted_and_a_limit_is_not(stage: Path) -> None:
    found = await ours.play(short(3, crashes=0.5), stage)
    assert found.burnt == 0
    with closing(sqlite3.connect(stage / "headway.db")) as database:
        (tries,) = database.execute("SELECT sum(tries) FROM jobs").fetchone()
        (crashed,) = database.execute("SELECT count(*) FROM attempts WHERE failure = 'crashed'").fetchone()
        (limited,) = database.execute("SELECT count(*) FROM attempts WHERE failure = 'rate_limited'").fetchone()
    assert crashed > 0 and limited > 0
    assert tries == 50 + crashed


# ---- the judge


def test_a_window_serves_its_quota_and_tells_its_end() -> None:
    chosen = plan(1, 500)
    provider, zero = Provider(chosen), chosen.day.zero
    quota = chosen.accounts["anna"].quota.calls
    served = [provider.call("anna", zero + n) for n in range(quota)]
    assert {answer.verdict for answer in served} == {Verdict.SERVED}
    refused = provider.call("anna", zero + quota)
    assert (refused.verdict, refused.closure) == (Verdict.CLOSED, ("anna", 0))
    assert refused.resets_at == zero + 3 * 3_600_000
    assert provider.call("anna", zero + 3 * 3_600_000).verdict is Verdict.SERVED


def test_a_false_reset_is_told_until_it_is_past() -> None:
    provider, zero = Provider(plan(1, 500)), plan().day.zero
    said, truth = zero + 140 * 60_000, zero + 240 * 60_000
    assert provider.told(("ben", 0), zero) == said
    assert provider.told(("ben", 0), said) == truth == provider.opens(("ben", 0))
    assert provider.told(("ben", 1), zero) == truth + 5 * 3_600_000


async def test_each_refusal_is_judged_by_what_was_known(stage: Path) -> None:
    book = (await ours.play(short(2), stage)).book
    provider = Provider(short(2))
    first = dict[tuple[str, int], int]()
    for tried in sorted((one for one in book.tries if one.entry is not None), key=lambda one: one.ended or 0):
        assert tried.ended is not None
        closure = tried.account, provider.window(tried.account, tried.ended)
        found = first.setdefault(closure, tried.ended)
        assert (tried.entry is Entry.UNAWARE) == (tried.begun <= found)
        assert tried.entry is not Entry.CANARY or tried.alone


# ---- the bound


def alone_each(chosen: Plan) -> list[set[str]]:
    return pooled(chosen.accounts, [])


def test_accounts_between_which_a_job_has_moved_are_one() -> None:
    assert sorted(map(sorted, pooled("abcd", [("a", "b"), ("d", "c"), ("b", "c")]))) == [["a", "b", "c", "d"]]
    assert sorted(map(sorted, pooled("abc", [("a", "b")]))) == [["a", "b"], ["c"]]


def _without_windows(day: Day) -> dict[str, Account]:
    return {
        name: msgspec.structs.replace(one, quota=msgspec.structs.replace(one.quota, calls=100_000))
        for name, one in day.accounts.items()
    }


def test_the_bound_is_met_where_nothing_is_in_the_way() -> None:
    day = read("weather")
    easy = msgspec.structs.replace(
        day,
        accounts=_without_windows(day),
        bursts=[],
        outages=[],
        arrivals=[Arrival(at="0s", share=1, over="60h")],
    )
    chosen = Plan.of(easy, 1, 20)
    alone = sum(errand.calls * chosen.day.call_ms for errand in chosen.errands)
    found = least_flow(chosen, range(1, 21), alone_each(chosen))
    assert alone - 20 * STEP_MS <= found <= alone


def test_the_bound_knows_closed_windows_and_outages() -> None:
    day = read("weather")
    numbers = range(1, 121)
    whole = least_flow(plan(), numbers, alone_each(plan()))
    open_all_day = msgspec.structs.replace(day, accounts=_without_windows(day))
    without_windows = least_flow(Plan.of(open_all_day, 1, JOBS), numbers, alone_each(plan()))
    longer = [*day.outages, Trouble(accounts=list(day.accounts), begins="0s", lasts="3h")]
    with_outage = least_flow(
        Plan.of(msgspec.structs.replace(day, outages=longer), 1, JOBS), numbers, alone_each(plan())
    )
    assert without_windows < whole < with_outage
    assert least_flow(plan(), numbers, [set(day.accounts)]) <= whole


# ---- the file


def test_a_day_that_cannot_be_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no day 'rain': there are weather"):
        read("rain")
    text = (Path(ours.__file__).parents[1] / "rehearsal" / "days" / "weather.yaml").read_text()
    for old, new, complaint in (
        ("account: ben", "account: bob", "there is no account 'bob'"),
        ("lasts: 12m", "lasts: soon", "'soon' is no span of time"),
        ("calls: [2, 6]", "calls: [6, 2]", "quick: calls go from few to many"),
        ("jobs: 500", "jobs: none", "line 3"),
    ):
        path = tmp_path / "day.yaml"
        path.write_text(text.replace(old, new))
        with pytest.raises(UsageError, match=complaint):
            read(str(path))


def test_fewer_jobs_have_smaller_windows() -> None:
    whole, part = plan(1, 500), plan(1, 50)
    assert part.accounts["anna"].quota.calls == whole.accounts["anna"].quota.calls // 10
    assert len(part.errands) == 50


def test_a_reset_that_is_told_too_late_is_written_with_a_sign() -> None:
    assert FalseReset(account="ben", window=0, by="+26h").shift == 26 * 3_600_000


def test_a_report_says_what_was_broken() -> None:
    report = Report(**{name: 0 for name in Report.__struct_fields__ if name != "policy"}, policy="headway")
    assert report.broken == []
    assert msgspec.structs.replace(report, strays=2).broken == [
        "2 calls went into windows that were known to be closed"
    ]
