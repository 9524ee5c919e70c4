"""The inbox: what agents ask and wait for, each with what is needed to answer it, and the keys that do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import BindingType
from textual.containers import Container
from textual.widget import Widget

from console.actions import Scope, bindings
from console.cards import answered_line, card_entries, choice_text, default_text, foreseen_entries, snoozed_line
from console.desk import Desk
from console.format import age, clean_line, job_name, plural
from console.messages import JobsChanged, Pulse
from console.pace import Pace
from console.roles import Part, Role
from console.screens.frame import Frame
from console.sizes import DIFF_LINES, SIDE_BY_SIDE
from console.tabs import Tab
from console.widgets.ask_bar import AskBar
from console.widgets.card_list import CardList
from console.widgets.tail import Tail
from engine.decision import Card, CardKind, Choice, Reply, SnoozeCards
from engine.errors import HeadwayError

if TYPE_CHECKING:
    from console.app import ConsoleApp

#: Seconds after the list moved a card under the cursor by itself in which no key answers it.
_GRACE = 0.7

#: Seconds that the cursor rests on a card before it is looked what its answers would do.
_REST = 0.15

#: Which keys answer a card, where another one was pressed.
_HOW = {
    CardKind.PERMISSION: "a allows it, x denies it",
    CardKind.QUESTION: "enter answers it",
    CardKind.ROUTE: "enter answers it",
    CardKind.BUDGET: "enter answers it",
    CardKind.CLARIFY: "a runs it, enter says more, x cancels it",
    CardKind.POLICY: "a accepts it, x dismisses it",
}
_OTHERWISE = "enter answers it"

#: What `a` and `x` say to a card that no agent waits for.
_YES = {CardKind.CLARIFY: Choice.RUN, CardKind.POLICY: Choice.ACCEPT}
_NO = {CardKind.CLARIFY: Choice.CANCEL, CardKind.POLICY: Choice.DISMISS}

#: Kinds of which an agent is told the answer.
_OF_AGENTS = (CardKind.PERMISSION, CardKind.QUESTION)


class InboxScreen(Frame):
    """The list of cards, and beside or below it everything on the one under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.INBOX)
    SCOPES = frozenset({Scope.INBOX})

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.list = CardList(desk)
        self.text = Tail(desk, most=DIFF_LINES + 200, follow=False, id="card")
        self._first_job: int | None = None
        self._loaded = False
        self._problem = ""
        self._dirty = True
        self._pace = Pace()
        self._moved = float("-inf")
        self._prompted: Card | None = None

    def body(self) -> Iterable[Widget]:
        yield Container(self.list, self.text, id="inbox")

    def home(self) -> Widget | None:
        return self.list

    def on_mount(self) -> None:
        self.reload()

    def shape(self, width: int, height: int) -> None:
        self.set_class(width < SIDE_BY_SIDE, "-stacked")

    def live_scopes(self) -> frozenset[Scope]:
        return super().live_scopes() | {Scope.TEXT if self.focused is self.text else Scope.LIST}

    def aim(self, job: int | None) -> None:
        """Stand on the card of a job, or on the one that waits longest."""
        wanted = next((index for index, card in enumerate(self.list.cards) if card.job == job), None)
        if self._loaded and (wanted is not None or job is None):
            self.list.move_to(wanted or 0)
        else:
            self._first_job = job

    # What is read, and when

    def reload(self) -> None:
        self._dirty = False
        self._pace.start(time.monotonic())
        self.in_background(self._read, "inbox")

    async def _read(self) -> None:
        try:
            cards = await self.desk.client.inbox()
        except HeadwayError as error:
            self._problem, self._dirty = error.message, True
            self._show_empty()
            return
        finally:
            self._pace.end(time.monotonic())
        self._problem = ""
        wanted = next((card.id for card in cards if card.job == self._first_job), None)
        first = not self._loaded
        self._loaded, self._first_job = True, None
        self.list.take(cards, wanted if wanted is not None or not first or not cards else cards[0].id)
        self._show_empty()
        self.draw_frame(self.desk.clock())

    def on_jobs_changed(self, event: JobsChanged) -> None:
        if any(card.job in event.ids for card in self.list.cards):
            self._dirty = True

    def on_status_changed(self, event: object) -> None:
        if self.desk.status is not None and self.desk.status.cards != len(self.list.cards):
            self._dirty = True
        if self.desk.offline_since is not None:
            self._problem = self.desk.why_offline
            self._show_empty()
        self.draw_frame(self.desk.clock())

    def beat(self, pulse: Pulse) -> None:
        now = time.monotonic()
        if self._dirty and pulse.steady and self.desk.offline_since is None and self._pace.due(now):
            self.reload()
        if pulse.second:
            self.list.tick(pulse.now)
        self.text.flush()

    def on_card_list_moved(self, event: CardList.Moved) -> None:
        if not event.by_key:
            self._moved = time.monotonic()
        card = self.list.card
        self.text.replace(card_entries(card) if card is not None else ())
        self.draw_frame(self.desk.clock())
        if card is not None:
            self.in_background(partial(self._foresee, card), "outlooks")

    async def _foresee(self, card: Card) -> None:
        """Say below a card what each answer would do. That is carried out and taken back, so it takes its time."""
        await asyncio.sleep(_REST)
        try:
            found = await self.desk.client.outlooks(card.id)
        except HeadwayError:
            return  # it was answered meanwhile, or the engine is away: the list says so
        if found and self.list.card == card:
            self.text.replace([*foreseen_entries(found, self.desk.clock()), *card_entries(card)])

    # What is shown

    def title_parts(self, now: int) -> tuple[Sequence[Part], Sequence[Part]]:
        cards = self.list.cards
        left: list[Part] = [(" Inbox   ", Role.HEADING)]
        if cards:
            left.append((f"{plural(len(cards), 'card')} for you", Role.YOU))
            left.append((f"   oldest {age(now - cards[0].at)}", Role.MUTED))
        return left, ()

    def idle_parts(self, now: int) -> Sequence[Part]:
        card = self.list.card
        if card is None:
            return ()
        return [(f"{job_name(card.job)}  ", Role.MUTED), (f"by default: {default_text(card, now)}", Role.WAIT)]

    def _show_empty(self) -> None:
        if self._problem and not self.list.cards:
            lines: tuple[tuple[Part, ...], ...] = (
                ((f"   {clean_line(self._problem)}", Role.FAILED),),
                (("   It is asked again by itself.", Role.MUTED),),
            )
        elif self._loaded:
            lines = (
                (("   Nothing waits for you. ", Role.TEXT), ("esc", Role.KEY), (" goes back.", Role.MUTED)),
                (("   An agent that may ask puts its cards here:", Role.MUTED),),
                (("   headway submit --permission ask \"tag the release\"", Role.KEY),),
            )  # fmt: skip
        else:
            lines = ((("   reading", Role.MUTED),),)
        self.list.show_empty(lines)

    # What the keys do

    def _target(self, kind: CardKind | None = None) -> Card | None:
        """The card that a key means; None, and why, where it means none."""
        card = self.list.card
        if card is None:
            self.say("nothing waits for you")
        elif time.monotonic() - self._moved < _GRACE:
            self.say("the list has just moved: look, then press again", Role.WAIT)
        elif kind is not None and card.kind is not kind:
            how = _HOW.get(card.kind, _OTHERWISE)
            self.say(f"that is a {card.kind}: {how}", Role.WAIT)
        else:
            return card
        return None

    def _says_by_key(self, choices: Mapping[CardKind, Choice]) -> bool:
        """Whether the key gives a plain answer to a card of that kind; it is given then."""
        if self.list.card is None or self.list.card.kind not in choices:
            return False
        if (card := self._target()) is not None:
            self._send(card, Reply(choice=choices[card.kind]))
        return True

    def action_allow_card(self) -> None:
        if not self._says_by_key(_YES) and (card := self._target(CardKind.PERMISSION)) is not None:
            self._send(card, Reply(choice=Choice.ALLOW))

    def action_allow_job(self) -> None:
        if (card := self._target(CardKind.PERMISSION)) is not None:
            self.work(self._allow_job(card))

    async def _allow_job(self, card: Card) -> None:
        if await self.ask.confirm(f"{choice_text(card, Choice.JOB)}?"):
            await self._sent(card, Reply(choice=Choice.JOB))
        else:
            self.say("nothing was answered")

    def action_allow_always(self) -> None:
        if (card := self._target(CardKind.PERMISSION)) is not None:
            self._prompt(card, "rule", f"always allow {clean_line(card.tool)}:", card.subject)

    def action_deny_card(self) -> None:
        if self._says_by_key(_NO):
            return
        card = self.list.card
        if card is not None and card.kind not in _OF_AGENTS:
            self._target(CardKind.PERMISSION)  # says how it is answered
        elif (card := self._target()) is not None:
            self._prompt(card, "deny", "no, because:", "")

    def action_deny_always(self) -> None:
        if (card := self._target(CardKind.PERMISSION)) is not None:
            self._prompt(card, "never", f"never allow {clean_line(card.tool)}:", card.subject)

    def action_answer_card(self) -> None:
        card = self.list.card
        if card is not None and card.kind is CardKind.PERMISSION:
            self.action_next_card_part()
        elif card is not None and card.kind is CardKind.ROUTE:
            if (card := self._target(CardKind.ROUTE)) is not None:
                offered = f"1-{len(card.options)}, " if card.options else ""
                self._prompt(card, "route", f"go on where? {offered}a target, wait or stop:", "")
        elif card is not None and card.kind is CardKind.CLARIFY:
            if (card := self._target(CardKind.CLARIFY)) is not None:
                self._prompt(card, "edit", "what it lacks:", "")
        elif card is not None and card.kind is CardKind.BUDGET:
            if (card := self._target()) is not None:
                self._prompt(card, "budget", "more, uncapped or stop, an amount:", card.options[0])
        elif card is not None and card.kind is not CardKind.QUESTION:
            if (card := self._target()) is not None:
                self._prompt(card, "choice", f"{', '.join(card.choices)}, and why:", "")
        elif (card := self._target(CardKind.QUESTION)) is not None:
            self._prompt(card, "answer", "answer:", "")

    def action_snooze_card(self) -> None:
        if (card := self._target()) is not None:
            self._prompt(card, "snooze", "put it aside for, or until:", "1h")

    def _prompt(self, card: Card, kind: str, sign: str, text: str) -> None:
        self._prompted = card
        self.ask.prompt(kind, sign, clean_line(text))

    def on_ask_bar_entered(self, event: AskBar.Entered) -> None:
        card, self._prompted = self._prompted, None
        if card is not None and event.kind == "snooze":
            if event.text.strip():
                self.work(self._put_aside(card, event.text.strip()))
            return
        reply = _reply(event.kind, event.text.strip(), card) if card is not None else None
        if card is not None and reply is None and event.kind == "choice" and event.text.strip():
            self.say(f"choose {', '.join(card.choices)}", Role.WAIT)
        if card is None or reply is None:
            return
        if reply.choice in (Choice.ANSWER, Choice.REROUTE, Choice.EDIT) and not reply.reason:
            self.say("an answer needs words", Role.WAIT)
        else:
            self._send(card, reply)

    def _send(self, card: Card, reply: Reply) -> None:
        self.work(self._sent(card, reply))

    async def _sent(self, card: Card, reply: Reply) -> None:
        done = await self.attempt(self._answered(card, reply))
        if done is not None:
            self.say(done)
        self.reload()

    async def _answered(self, card: Card, reply: Reply) -> str:
        self.desk.require_engine()
        return answered_line(await self.desk.client.reply(card.id, reply))

    async def _put_aside(self, card: Card, until: str) -> None:
        done = await self.attempt(self._snoozed(card, until))
        if done is not None:
            self.say(done)
        self.reload()

    async def _snoozed(self, card: Card, until: str) -> str:
        self.desk.require_engine()
        wanted = SnoozeCards(cards=[card.id], until=until)
        return snoozed_line(await self.desk.client.snooze_cards(wanted), self.desk.clock())

    def action_card_job(self) -> None:
        card = self.list.card
        if card is None:
            self.say("nothing waits for you")
        else:
            cast("ConsoleApp", self.app).open_job(card.job, Tab.LOG)

    def action_next_card_part(self) -> None:
        self.set_focus(self.list if self.focused is self.text else self.text)

    def action_leave_inbox(self) -> None:
        if self.focused is self.text:
            self.set_focus(self.list)
        else:
            self.work(cast("ConsoleApp", self.app).action_last_screen())


def _reply(kind: str, text: str, card: Card) -> Reply | None:
    """What was typed into a prompt of that kind, as an answer. A number names one of a question's options."""
    match kind:
        case "rule":
            return Reply(choice=Choice.RULE, pattern=_changed(text, card))
        case "deny":
            return Reply(choice=Choice.DENY, reason=text or None)
        case "never":
            return Reply(choice=Choice.DENY, pattern=text or card.subject or "*")
        case "edit":
            return Reply(choice=Choice.EDIT, reason=text)
        case "budget":
            return _of_budget(_option(text, card))
        case "choice":
            return _chosen(text, card)
        case "answer":
            return Reply(choice=Choice.ANSWER, reason=_option(text, card))
        case "route":
            if text in (Choice.WAIT, Choice.STOP):
                return Reply(choice=Choice(text))
            return Reply(choice=Choice.REROUTE, reason=text)
        case _:
            return None


def _chosen(text: str, card: Card) -> Reply | None:
    """One of a card's choices, by its word or its number, and what is said to it."""
    word, _, rest = text.partition(" ")
    if word.isdecimal() and 1 <= int(word) <= len(card.choices):
        word = card.choices[int(word) - 1]
    return Reply(choice=Choice(word), reason=rest.strip() or None) if word in card.choices else None


def _option(text: str, card: Card) -> str:
    """What was typed, or the option whose number it is."""
    if text.isdecimal() and 1 <= int(text) <= len(card.options):
        return card.options[int(text) - 1]
    return text


def _of_budget(text: str) -> Reply | None:
    """`more`, `more $5`, `$5`, `uncapped` or `stop`, as an answer to what follows a budget that is used up."""
    word, _, rest = text.partition(" ")
    if word == Choice.MORE:
        return Reply(choice=Choice.MORE, amount=rest.strip() or None)
    if text in (Choice.UNCAPPED, Choice.STOP):
        return Reply(choice=Choice(text))
    return Reply(choice=Choice.MORE, amount=text) if text else None


def _changed(text: str, card: Card) -> str | None:
    """A pattern, where another one was typed than what the engine would take by itself."""
    return None if text in ("", clean_line(card.subject)) else text
