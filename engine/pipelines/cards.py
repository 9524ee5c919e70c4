"""The cards of pipelines: a plan to be approved, and what a step found that nobody has mended. Of the one writer."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from engine.decision import Card, CardKind, Choice, Reply
from engine.errors import RefusedError, UsageError
from engine.merge.back import with_findings
from engine.model import Pipeline, PipelineState, Step, StepState
from engine.pipelines.spec import PipelineSpec
from engine.store import pipeline_acts, pipeline_undo, pipelines
from engine.store.actions import Inverse
from engine.store.answering import Answering, Applied, Kind
from engine.store.cards import Closing
from engine.store.decisions import WORDS
from engine.store.pipeline_acts import Back
from engine.store.pipelines import Stood
from engine.store.rows import JobRow, read_job, read_spec
from engine.store.writer import Transaction


def spec_of(tx: Transaction, pipeline: int) -> PipelineSpec:
    """The pipeline as it was declared when it was begun."""
    return msgspec.json.decode(pipelines.plan_of(tx, pipeline).spec, type=PipelineSpec)


def back_to(tx: Transaction, pipeline: Pipeline, step: Step, text: str, converse: frozenset[str]) -> Back | str:
    """How something goes back to who can mend it, told with that text; else why it cannot."""
    spec = spec_of(tx, pipeline.id)
    own = spec.step(step.name)
    target = spec.of_of(own) if own.kind == "approve" else spec.back_of(own)
    if target is None:
        return f"nobody comes before {step.name} who could mend it"
    (there,) = (one for one in pipeline.steps if one.name == target)
    row = read_job(tx.connection, there.jobs[-1]) if there.jobs else None
    if row is None:
        return f"the job of {target} is gone"
    if row.agent not in converse:
        return f"J{row.id} is a command, and nobody who could be told"
    asked = read_spec(tx.connection, row)
    prompt = with_findings(asked.prompt, text)
    return Back(target, tuple(spec.behind(target)), msgspec.structs.replace(asked, prompt=prompt))


@dataclass(frozen=True)
class StepCards(Kind):
    """It goes on, or back with words, or is tried again, or ends the pipeline."""

    converse: frozenset[str]
    """Agents that can be told words."""

    def closing(self, it: Answering) -> Closing:
        approval = it.card.kind is CardKind.APPROVAL
        if it.reply.choice is Choice.BACK and approval and not (it.reply.reason or "").strip():
            raise UsageError("back needs words: what is to be different, with --reason TEXT")
        return super().closing(it)

    def samples(self, card: Card) -> list[Reply]:
        return [Reply(choice=one, reason=WORDS if one is Choice.BACK else None) for one in card.choices]

    def stale(self, tx: Transaction, card: Card, row: JobRow) -> str:
        return "" if _asks(tx, card) is not None else "its pipeline has moved on"

    def apply(self, it: Answering, closing: Closing) -> Applied:
        tx = it.tx
        found = _asks(tx, it.card)
        if found is None:
            raise RefusedError(f"card {it.card.id} is about a step that has moved on")
        pipeline, step = found
        words = (closing.reason or "").strip()
        said = self._carry_out(it, pipeline, step, words)
        after = pipelines.one(tx, pipeline.id)
        assert after is not None, "it was there a moment ago"
        stood = Stood(pipeline.id, pipelines.frame(after), pipelines.frame(pipeline))
        row = read_job(tx.connection, it.row.id) or it.row
        return Applied(row, Inverse(note=msgspec.json.encode(stood).decode()), said=f"pipeline {pipeline.id} {said}")

    def _carry_out(self, it: Answering, pipeline: Pipeline, step: Step, words: str) -> str:
        tx, by = it.tx, it.by
        match it.reply.choice:
            case Choice.APPROVE:
                pipelines.move_step(tx, pipeline.id, step, StepState.DONE, by=by, why="approved", findings=words)
                return "goes on"
            case Choice.RETRY:
                pipelines.move_step(tx, pipeline.id, step, StepState.WAITING, by=by, card=None)
                return f"does {step.name} again"
            case Choice.BACK:
                text = _words_back(it.card, step, words)
                back = back_to(tx, pipeline, step, text, self.converse)
                why = back if isinstance(back, str) else pipeline_acts.send_back(tx, pipeline, step, back, words, by)
                if why:
                    raise RefusedError(why)
                assert not isinstance(back, str), "it was sent"
                return f"goes back to {back.target}"
            case choice:
                approval = it.card.kind is CardKind.APPROVAL
                why = words or ("its plan was not approved" if approval else step.findings.partition("\n")[0])
                pipelines.move_step(tx, pipeline.id, step, StepState.FAILED, by=by, why=why)
                to = PipelineState.CANCELLED if choice is Choice.CANCEL else PipelineState.FAILED
                pipelines.move(tx, pipeline, to, by=by, why=why)
                return f"is {to}"

    def take_back(self, tx: Transaction, card: Card, row: JobRow, note: str, by: str) -> str:
        if not note:
            return "nothing is known of what it did"
        stood = msgspec.json.decode(note, type=Stood)
        now = pipelines.one(tx, stood.pipeline)
        return "its pipeline is gone" if now is None else pipeline_undo.put_back(tx, now, stood, by)


def _words_back(card: Card, step: Step, words: str) -> str:
    if card.kind is CardKind.APPROVAL:
        return f"The operator read it and wants it otherwise:\n\n{words}"
    said = f"\n\nThe operator says: {words}" if words else ""
    return f"{step.name} found:\n\n{step.findings}{said}"


def _asks(tx: Transaction, card: Card) -> tuple[Pipeline, Step] | None:
    """The pipeline and the step that a card is about, while it is."""
    found = tx.connection.execute("SELECT pipeline FROM pipeline_steps WHERE card = ?", (card.id,)).fetchone()
    pipeline = pipelines.one(tx, int(found[0])) if found else None
    if pipeline is None or pipeline.state is not PipelineState.RUNNING:
        return None
    step = next((one for one in pipeline.steps if one.card == card.id and one.state is StepState.ASKING), None)
    return None if step is None else (pipeline, step)
