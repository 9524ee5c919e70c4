"""Which events are worth telling, and in which words. Pure: an event and what is known of its job in, a notice out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from engine import events as log
from engine.decision import CardKind
from engine.notice import TEXT_LIMIT, TITLE_LIMIT, Notice, NoticeClass
from engine.plain import plain_line
from engine.spend.budgets import title as budget_title
from engine.units import span

#: What each class tells of. Nothing else wakes whoever tells it.
_OF_CLASS: dict[NoticeClass, tuple[type[log.Body], ...]] = {
    NoticeClass.NEEDS_YOU: (log.Asked, log.DefaultNear),
    NoticeClass.ESCALATED: (log.Escalated,),
    NoticeClass.FAILED: (log.Failed,),
    NoticeClass.DONE: (log.Succeeded,),
    NoticeClass.BUDGET: (log.BudgetWarned, log.BudgetReached),
    NoticeClass.LIMIT: (log.LimitSeen,),
    NoticeClass.ENGINE: (log.BreakerMoved, log.Drifted, log.ScheduleMissed, log.EngineStarted),
}

_HOUR = 3_600_000

#: How a card is called, where its kind is no noun for it.
_NAMES = {
    CardKind.CLARIFY: "a vague job",
    CardKind.ROUTE: "a choice of route",
    CardKind.BUDGET: "a budget that is used up",
    CardKind.GATE: "work that its gate refuses",
    CardKind.STEP: "a step of a pipeline",
}


@dataclass(frozen=True, slots=True)
class About:
    """What is known around an event."""

    title: str = ""
    """Of its job."""
    died: bool = False
    """The engine before did not end by itself."""


def worth(classes: Iterable[NoticeClass]) -> tuple[type[log.Body], ...]:
    """The events that classes tell of."""
    return tuple(kind for about in classes for kind in _OF_CLASS[about])


def notice(event: log.Event, about: About, home: str) -> Notice | None:
    """The notice of an event; None where it is not worth one. `home` keeps the ids of two engines apart."""
    found = _said(event, about)
    if found is None:
        return None
    what, key, title, text, card = found
    return Notice(
        uid=hashlib.sha256(f"{home} {key}".encode()).hexdigest()[:32],
        about=what,
        title=_line(title, TITLE_LIMIT),
        text=text[:TEXT_LIMIT],
        at=event.at,
        seq=event.seq,
        job=event.job,
        card=card,
    )


_Said = tuple[NoticeClass, str, str, str, int | None]


def _said(event: log.Event, about: About) -> _Said | None:
    name = f"J{event.job}" if event.job is not None else ""
    match event.body:
        case log.Asked() | log.DefaultNear() | log.Escalated():
            return _of_card(event.body, event.at, name, about)
        case log.Failed(failure=failure, reason=reason):
            said = str(failure).replace("_", " ")
            text = f"{about.title}\n{_line(reason, 300)}\nheadway show {event.job}"
            return NoticeClass.FAILED, f"failed {event.seq}", f"{name} failed: {said}", text, None
        case log.Succeeded(result=result):
            text = f"{about.title}\n{_line(result or 'done', 300)}"
            return NoticeClass.DONE, f"done {event.seq}", f"{name} is done", text, None
        case log.BudgetWarned() | log.BudgetReached():
            return _of_budget(event.body, event.seq)
        case log.LimitSeen(account=account, window=window, until=until) if until is not None and until > event.at:
            title = f"{account} has reached its limit: {window}"
            key = f"limit {account} {window} {until // _HOUR}"
            return NoticeClass.LIMIT, key, title, f"nothing of it starts before {_clock(until)}", None
        case _:
            return _of_engine(event, about)


def _of_card(body: log.Asked | log.DefaultNear | log.Escalated, at: int, name: str, about: About) -> _Said | None:
    if body.what is CardKind.POLICY or (body.what is CardKind.BUDGET and isinstance(body, log.Asked)):
        return None  # a proposal can wait for ever, and that a budget is used up is told as such
    text = "\n".join(filter(None, (_line(body.summary, 300), about.title, f"headway inbox {body.card}")))
    who = f"{name}: " if name else ""
    thing = _NAMES.get(body.what) or f"{'an' if body.what[0] in 'aeiou' else 'a'} {body.what}"
    match body:
        case log.Asked(card=card, due=due):
            if due is not None:
                text += f"; its default is taken at {_clock(due)}"
            return NoticeClass.NEEDS_YOU, f"card {card}", f"{who}{thing} waits for you", text, card
        case log.DefaultNear(card=card, default=default, due=due):
            title = f"{who}{thing} is answered with {default} at {_clock(due)}"
            return NoticeClass.NEEDS_YOU, f"near {card} {due}", title, text, card
        case log.Escalated(card=card, times=times, since=since):
            title = f"{who}{thing} has waited for {span(at - since)}"
            return NoticeClass.ESCALATED, f"escalated {card} {times} {since}", title, text, card


def _of_budget(body: log.BudgetWarned | log.BudgetReached, seq: int) -> _Said:
    name = budget_title(body.scope)
    if isinstance(body, log.BudgetWarned):
        title = f"{name}: {body.spent} are spent" + (f" of {body.cap}" if body.cap is not None else "")
        return NoticeClass.BUDGET, f"budget {seq}", title, f"it warns at {body.warn}\nheadway budgets", None
    how = f"headway inbox {body.card}" if body.card is not None else "headway budgets"
    text = f"its cap is {body.cap}; nothing more of it starts, what runs is parked\n{how}"
    return NoticeClass.BUDGET, f"budget {seq}", f"{name} is used up: {body.spent}", text, body.card


def _of_engine(event: log.Event, about: About) -> _Said | None:
    match event.body:
        case log.BreakerMoved(target=target, failure=failure, until=until) if until is not None and failure is not None:
            said = str(failure).replace("_", " ")
            text = f"it failed again and again ({said}); it is tried again at {_clock(until)}\nheadway breakers"
            key = f"breaker {target} {event.at // _HOUR}"
            return NoticeClass.ENGINE, key, f"{target} is paused", text, None
        case log.Drifted(day=day, book=book, share=share):
            text = f"on {day} by {share:.1%}\nheadway spend --reconcile"
            return NoticeClass.ENGINE, f"drift {day} {book}", f"{book} differs from the ledger", text, None
        case log.ScheduleMissed(name=name, count=count, why=why):
            title = f"schedule {name} missed {count} times" if count > 1 else f"schedule {name} missed its time"
            return NoticeClass.ENGINE, f"missed {event.seq}", title, f"{_line(why, 300)}\nheadway schedules", None
        case log.EngineStarted() if about.died:
            text = "it had not ended by itself; what ran was taken up again\nheadway doctor"
            return NoticeClass.ENGINE, f"died {event.seq}", "the engine was started again", text, None
        case _:
            return None


def _line(text: str, limit: int) -> str:
    """On one line, without control characters, and no longer than that."""
    return plain_line(text, limit)


def _clock(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000).strftime("%H:%M")
