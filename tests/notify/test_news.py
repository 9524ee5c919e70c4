"""Which events are worth telling, in which words, where and when."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from engine import events as log
from engine.budgets import Amount
from engine.config import Settings, load_settings
from engine.config.notify import NotifySettings
from engine.decision import CardKind, Choice, Past, Rule
from engine.documents import DocumentError
from engine.model import Failure
from engine.notice import NoticeClass
from engine.notify.news import About, notice

AT = int(datetime(2026, 3, 2, 12, 0).timestamp() * 1000)
HOUR = 3_600_000


def event(body: log.AnyBody, job: int | None = 7) -> log.Event:
    return log.Event(seq=5, at=AT, body=body, job=job)


@pytest.mark.parametrize(
    ("body", "about", "title"),
    [
        (
            log.Asked(3, CardKind.PERMISSION, "Bash", "git push"),
            NoticeClass.NEEDS_YOU,
            "J7: a permission waits for you",
        ),
        (
            log.DefaultNear(3, CardKind.PERMISSION, "git push", Choice.DENY, AT + 300_000),
            NoticeClass.NEEDS_YOU,
            "J7: a permission is answered with deny at 12:05",
        ),
        (
            log.Escalated(3, CardKind.QUESTION, "which?", 1, AT - HOUR),
            NoticeClass.ESCALATED,
            "J7: a question has waited for 1h",
        ),
        (log.Failed(Failure.TIMEOUT, "it ran for 1h"), NoticeClass.FAILED, "J7 failed: timeout"),
        (log.Succeeded("done"), NoticeClass.DONE, "J7 is done"),
        (log.BreakerMoved("claude:opus", Failure.AUTH, AT + HOUR), NoticeClass.ENGINE, "claude:opus is paused"),
        (
            log.LimitSeen("five_hour", "closed", account="claude@work", until=AT + HOUR),
            NoticeClass.LIMIT,
            "claude@work has reached its limit: five_hour",
        ),
        (
            log.BudgetReached("day", Amount(micros=5_000_000), Amount(micros=5_000_000), card=4),
            NoticeClass.BUDGET,
            "the budget of the day is used up: $5.00",
        ),
    ],
)
def test_what_is_worth_telling_is_said_in_one_line(body: log.AnyBody, about: NoticeClass, title: str) -> None:
    found = notice(event(body), About("tag the release"), "here")
    assert found is not None
    assert (found.about, found.title) == (about, title)


@pytest.mark.parametrize(
    "body",
    [
        log.Asked(3, CardKind.POLICY, "Bash", "a rule?"),
        log.Asked(3, CardKind.BUDGET, "day", "used up"),
        log.LimitSeen("five_hour", "open", account="claude@work"),
        log.BreakerMoved("claude:opus"),
        log.EngineStarted(1, "0"),
        log.RuleProposed(1, 2, Rule(tool="Bash"), Past()),
    ],
)
def test_what_can_wait_or_is_told_otherwise_is_not_told(body: log.AnyBody) -> None:
    assert notice(event(body), About(), "here") is None


def test_the_same_thing_has_the_same_id_and_another_home_another_one() -> None:
    one = log.BreakerMoved("claude:opus", Failure.AUTH, AT + HOUR)
    again = log.BreakerMoved("claude:opus", Failure.CRASHED, AT + 2 * HOUR)
    first, second = (notice(event(body, None), About(), "here") for body in (one, again))
    elsewhere = notice(event(one, None), About(), "there")
    assert first is not None and second is not None and elsewhere is not None
    assert first.uid == second.uid != elsewhere.uid


def test_an_engine_that_died_is_told_and_one_that_ended_is_not() -> None:
    found = notice(event(log.EngineStarted(1, "0"), None), About(died=True), "here")
    assert found is not None and found.about is NoticeClass.ENGINE


def test_words_of_an_agent_stay_one_line_and_short() -> None:
    found = notice(event(log.Asked(3, CardKind.QUESTION, "ask", "a\n\x1b]0;x\x07" + "b" * 5_000)), About(), "here")
    assert found is not None
    assert "\x1b" not in found.text and len(found.text) < 600
    assert found.text.count("\n") == 1


@pytest.mark.parametrize(
    ("span", "hour", "ends"),
    [("22:00-07:00", 23, (3, 7)), ("22:00-07:00", 6, (2, 7)), ("22:00-07:00", 12, None), ("12:00-13:00", 12, (2, 13))],
)
def test_a_quiet_time_ends_when_it_says(span: str, hour: int, ends: tuple[int, int] | None) -> None:
    now = int(datetime(2026, 3, 2, hour, 30).timestamp() * 1000)
    until = NotifySettings(quiet=span).quiet_until(now)
    wanted = None if ends is None else datetime(2026, 3, ends[0], ends[1])
    assert (None if until is None else datetime.fromtimestamp(until / 1000)) == wanted


def test_silence_is_the_default() -> None:
    notify = Settings().notify
    assert notify.names == ["terminal"]
    assert (notify.places(NoticeClass.DONE), notify.places(NoticeClass.LIMIT)) == ([], [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tell: {needs_yu: [terminal]}", "did you mean 'needs_you'?"),
        ("tell: {failed: [phne]}\n  channels: {phone: {kind: ntfy, topic: x}}", "did you mean 'phone'?"),
        ("channels: {x: {kind: nfty}}", "ntfy"),
        ("channels: {x: {kind: ntfy}}", "needs it"),
        ("channels: {x: {kind: slack, url: 'https://hooks.slack.com/services/T/B/x', key: {env: X}}}", "holds a key"),
        ("channels: {x: {kind: slack, topic: a, key: {env: X}}}", "has no topic; it takes key"),
        ("channels: {x: {kind: webhook, url: example.com, key: {env: X}}}", "write https://HOST/PATH"),
        ("channels: {x: {kind: webhook, url: 'https://a:b@c/', key: {env: X}}}", "holds a key"),
        ("channels: {x: {kind: telegram, chat: '1'}}", "needs it"),
        ("channels: {x: {kind: telegram, chat: '1', key: {env: 'a b'}}}", "name of a variable"),
        ("channels: {x: {kind: mail, host: h, sender: me, to: [a@b]}}", "'me' is no address"),
        ("channels: {x: {kind: mail, host: h, sender: a@b, to: [a@b], tls: ssl}}", "'ssl' is no way to encrypt"),
        ("quiet: all night", "write 22:00-07:00"),
        ("gather: soon", "no span of time"),
        ("urgent: [escalatd]", "did you mean 'escalated'?"),
    ],
)
def test_a_wrong_setting_is_told_with_the_nearest_right_thing(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "headway.yaml"
    path.write_text(f"notify:\n  {text}\n")
    with pytest.raises(DocumentError) as wrong:
        load_settings(path, ["claude"])
    assert said in wrong.value.message, wrong.value.message
