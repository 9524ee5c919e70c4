"""The answer to a job that does not say enough to be begun. Operations of the one writer."""

from __future__ import annotations

from msgspec.structs import replace

from engine import events as log
from engine.decision import Card, Choice, Reply
from engine.errors import UsageError
from engine.store import dependencies
from engine.store.answering import Answering, Applied, Kind
from engine.store.cards import Closing
from engine.store.decisions import WORDS
from engine.store.fold import record
from engine.store.rows import read_job, read_spec


class ClarifyCards(Kind):
    """It is run as it is, or with more words, or not at all."""

    def closing(self, it: Answering) -> Closing:
        if it.reply.choice is Choice.EDIT and not (it.reply.reason or "").strip():
            raise UsageError("edit needs the words that the prompt lacks: --reason TEXT")
        return super().closing(it)

    def samples(self, card: Card) -> list[Reply]:
        return [Reply(choice=one, reason=WORDS if one is Choice.EDIT else None) for one in card.choices]

    def apply(self, it: Answering, closing: Closing) -> Applied:
        tx, row = it.tx, it.row
        if closing.choice is Choice.CANCEL:
            row = record(tx, row, log.Cancelled(by=it.by))
            dependencies.after_end(tx, [row])
            return Applied(read_job(tx.connection, row.id) or row)
        if closing.choice is Choice.EDIT:
            spec = read_spec(tx.connection, row)
            spec = replace(spec, prompt=f"{spec.prompt.rstrip()}\n\n{(closing.reason or '').strip()}")
            row = record(tx, row, log.Edited(by=it.by, spec=spec, title=row.title))
        return Applied(row)
