"""Whatever happens to cards and their jobs in whatever order: no job waits for a card that nobody can answer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.card_kinds import all_kinds
from engine.decision import CardKind, Reply, SnoozeCards
from engine.dispatch.routebook import NOTHING
from engine.errors import HeadwayError
from engine.model import State, Verb
from engine.permission import Policy
from engine.store import actions, answering, card_times, cards, claims, clarify, decisions, proposals, submit, verbs
from engine.store.card_times import Attention
from engine.store.cards import Asking
from engine.store.fold import rebuild
from engine.store.proposals import Habit
from engine.store.rows import read_job
from engine.store.verbs import Request
from engine.store.writer import RollbackError, Transaction
from tests.store.samples import NOON, accepted, connect, first, table, transaction

KINDS = all_kinds(NOTHING, {})
ATTENTION = Attention(warn=60_000, escalate=120_000, most=2)
HABIT = Habit(least=2, holds=600_000)


class Cards(RuleBasedStateMachine):
    """Jobs in a database, agents that ask, an operator who answers, puts aside and thinks better of it."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.connection = connect(Path(self.folder.name) / "headway.db")
        self.now = NOON
        self.asked = 0
        self.rehearse = False

    def teardown(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()
            self.folder.cleanup()

    def perform(self, operation: Callable[[Transaction], Any]) -> None:
        """As the writer does it: whole, or not at all."""
        tx = transaction(self.connection, self.now)
        self.connection.execute("BEGIN")
        try:
            operation(tx)
            tx.write_counts()
        except (HeadwayError, RollbackError):
            self.connection.execute("ROLLBACK")
        else:
            self.connection.execute("COMMIT")

    def open_cards(self) -> list[int]:
        return [card.id for card in cards.opened(transaction(self.connection, self.now))]

    @rule(vague=st.booleans())
    def submit(self, vague: bool) -> None:
        def new(tx: Transaction) -> None:
            (job,) = submit.submit(tx, [accepted(project="/api")])
            row = read_job(tx.connection, job)
            if vague and row is not None:
                clarify.ask_first(tx, row, "it is vague", "fix it")

        self.perform(new)

    @rule()
    def claim(self) -> None:
        self.perform(lambda tx: claims.claim(tx, [row for row in first(tx, 1) if row.held_by is None], bool, "boot"))

    @rule(command=st.sampled_from(["make", "ls"]), limit=st.sampled_from([0, 90_000]))
    def ask(self, command: str, limit: int) -> None:
        running = [row.attempt for row in table(self.connection).values() if row.state is State.RUNNING]
        if running and running[0] is not None:
            self.asked += 1
            one = Asking(f"r{self.asked}", CardKind.PERMISSION, "Bash", command, True, command, "{}")
            self.perform(lambda tx: decisions.ask(tx, running[0] or 0, one, (), Policy(limit)))

    @precondition(lambda self: self.open_cards())
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.open_cards()))
        card = cards.one(transaction(self.connection, self.now), number)
        assert card is not None
        reply = Reply(choice=data.draw(st.sampled_from(card.choices)), reason="words", dry_run=data.draw(st.booleans()))

        def say(tx: Transaction) -> None:
            answering.answer(tx, KINDS, number, reply, "ann")
            proposals.consider(tx, number, HABIT)

        self.perform(say)

    @precondition(lambda self: self.open_cards())
    @rule(data=st.data(), span=st.sampled_from([None, 30_000]))
    def put_aside(self, data: st.DataObject, span: int | None) -> None:
        wanted = SnoozeCards(cards=[data.draw(st.sampled_from(self.open_cards()))])
        self.perform(lambda tx: card_times.snooze(tx, wanted, None if span is None else tx.now + span, "ann"))

    @rule(verb=st.sampled_from([Verb.CANCEL, Verb.RELEASE, Verb.HOLD, Verb.RETRY]), data=st.data())
    def act(self, verb: Verb, data: st.DataObject) -> None:
        if jobs := sorted(table(self.connection)):
            job = data.draw(st.sampled_from(jobs))
            self.perform(lambda tx: verbs.act(tx, Request(verb, [job], "ann")))

    @rule(newest=st.booleans(), number=st.integers(1, 9))
    def undo(self, newest: bool, number: int) -> None:
        self.perform(lambda tx: actions.undo(tx, "ann", None if newest else number, KINDS, dry_run=False))

    @rule(ms=st.sampled_from([0, 30_000, 100_000]))
    def pass_time(self, ms: int) -> None:
        self.now += ms
        self.perform(lambda tx: card_times.tick(tx, KINDS, ATTENTION))
        due = card_times.pending(transaction(self.connection, self.now), KINDS, ATTENTION)
        assert due is None or due > self.now, "a look at the clock leaves nothing to do"

    @invariant()
    def nobody_waits_for_what_cannot_be_answered(self) -> None:
        if not hasattr(self, "connection"):
            return
        tx = transaction(self.connection, self.now)
        waits: dict[int, list[int]] = {}
        for card in cards.opened(tx):
            if card.of_job:
                waits.setdefault(card.job, []).append(card.id)
        for row in table(self.connection).values():
            assert row.waiting_on == min(waits.get(row.id, []), default=None), row
            held = cards.held_by(row)
            assert held is None or row.ended_at is not None or held in waits.get(row.id, []), row

    @invariant()
    def the_log_tells_the_same(self) -> None:
        if hasattr(self, "connection"):
            assert rebuild(self.connection) == table(self.connection)


Cards.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestCards = Cards.TestCase
