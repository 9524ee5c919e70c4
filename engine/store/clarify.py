"""The question that comes before a job which does not say enough: asked, and closed. Operations of the one writer."""

from __future__ import annotations

import msgspec

from engine import events as log
from engine.decision import ARGUMENTS_LIMIT, CardKind, Choice
from engine.store import cards
from engine.store.cards import Asking, Closing, Due
from engine.store.fold import record
from engine.store.rows import JobRow
from engine.store.writer import Transaction

TOOL = "triage"  #: what its card is of, where an agent's says the tool
NO_ATTEMPT = 0  #: the attempt of a card that none asks


def ask_first(tx: Transaction, row: JobRow, question: str, prompt: str) -> JobRow:
    """Hold a new job, and ask the operator what is to become of it."""
    asking = Asking(
        request=f"clarify-{row.id}",
        kind=CardKind.CLARIFY,
        tool=TOOL,
        subject="",
        shell=False,
        summary="run it as it is, say more (edit), or cancel it?",
        arguments=msgspec.json.encode({"prompt": prompt[:ARGUMENTS_LIMIT]}).decode(),
        why=question,
    )
    card = cards.put_up(tx, row, NO_ATTEMPT, asking, Due(None, Choice.RUN))
    cards.sent(tx, card)  # there is no agent to be told
    row = record(tx, row, log.Asked(card=card, what=asking.kind, tool=asking.tool, summary=asking.summary))
    return record(tx, row, log.Held(by=cards.holder(card)))


def holds(tx: Transaction, row: JobRow) -> bool:
    """Whether it is such a question that a job is held by."""
    card = cards.holding(tx, row)
    return card is not None and card.kind is CardKind.CLARIFY and card.open


def over(tx: Transaction, row: JobRow, choice: Choice, by: str) -> JobRow:
    """Close the question of a job, if it has one: what it asks for was decided in another way."""
    card = cards.one(tx, row.waiting_on) if row.waiting_on is not None else None
    if card is None or card.kind is not CardKind.CLARIFY or not card.open:
        return row
    return cards.close(tx, row, None, card.id, Closing(choice, by))
