"""What is remembered of jobs without being asked for: how they ended, what hand-offs told, how failures were mended.

It reads the log from where it stood, so that nothing is learned twice and an engine that dies loses nothing. What an
agent did only becomes a procedure that is proposed: nothing of it is told to a job before the operator accepts it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import events as log
from engine.agents.base import Agent
from engine.config import Settings
from engine.context.conversation import HANDOFF
from engine.context.handoff import Deeds, Ran
from engine.context.record import deeds_of
from engine.errors import HeadwayError
from engine.hand_off import Cause, Stored
from engine.hub import Hub
from engine.memory.item import GLOBAL, PROJECT, READER, TEXT_LIMIT, Draft, Kind, Source
from engine.memory.memory import Memory
from engine.model import GateLook, Verdict
from engine.runner.run_dir import read_regular, run_dir
from engine.store import Store, gatings, hand_offs
from engine.store.rows import AttemptRow, JobRow

logger = logging.getLogger(__name__)

LEARNED = "learned"  #: the word of the ledger for the newest event that was learned from
PAGE = 500  #: events of one look
EVENTS_ONLY = 1 << 62  #: a version that no progress is newer than
AGAIN_SECONDS = 30.0
RESULT_CHARACTERS = 600  #: of an agent's last word that are kept of an outcome
HANDOFF_BYTES = 1 << 18
#: What a hand-off only repeats of the job, or what changes with each attempt.
LEFT_OUT = frozenset({"Why a new session", "In brief", "The task", "Where", "History", "Commands and how they ended"})

_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Learner:
    """One for an engine."""

    home: Path
    settings: Settings
    store: Store
    hub: Hub
    memory: Memory
    agents: Mapping[str, Agent]

    async def run(self) -> None:
        """Keep memory and follow the log, until cancelled; then memory is closed."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.memory.keep(), name="memory")
                tasks.create_task(self._follow(), name="learning")
        finally:
            await self.memory.close()

    async def _follow(self) -> None:
        """Where memory fails, it is tried again from the same place."""
        while not self.hub.closing.is_set():
            seq = self.hub.seq
            try:
                if self.settings.memory.learns or self.memory.begun:
                    await self._catch_up(seq)
            except HeadwayError as error:
                logger.warning("memory: nothing is learned: %s", error.message)
                await asyncio.sleep(AGAIN_SECONDS)
            except Exception:
                logger.exception("memory: learning failed; it is tried again")
                await asyncio.sleep(AGAIN_SECONDS)
            await self.hub.changed(seq, EVENTS_ONLY)

    async def _catch_up(self, newest: int) -> None:
        word = await self.memory.word(LEARNED)
        if word is None:  # what happened before memory began is not its to tell
            await self.memory.set_word(LEARNED, str(newest))
            return
        after = int(word)
        while found := await self.store.read.events(after, PAGE):
            await self._take(found)
            after = found[-1].seq
            await self.memory.set_word(LEARNED, str(after))

    async def _take(self, found: Sequence[log.Event]) -> None:
        ended = {
            one.job: isinstance(one.body, log.Succeeded)
            for one in found
            if one.job is not None and isinstance(one.body, log.Succeeded | log.Failed)
        }
        await self.memory.note_ends(ended)
        if not self.settings.memory.learns:
            return
        drafts: list[Draft] = []
        for one in found:
            if one.job is not None and isinstance(one.body, log.HandedOff):
                drafts += await self._of_handoff(one.job, one.attempt)
            if one.job is not None and isinstance(one.body, log.HandOffStored) and one.body.cause is Cause.OWN:
                drafts += await self._of_own(one.job, one.body.id)
        for job, well in ended.items():
            drafts += await self._of_end(job, well=well)
        await self.memory.learn(drafts)

    async def _of_end(self, job: int, *, well: bool) -> list[Draft]:
        rows = await self.store.read.rows([job])
        attempts = [one for one in await self.store.read.attempts(job) if one.started_at is not None]
        if not rows or not attempts or rows[0].kind == READER or not self._converses(attempts[-1].agent):
            return []
        deeds = await asyncio.to_thread(deeds_of, self.home, attempts, self.agents)
        looks = gated(await self.store.read.events(0, PAGE, job)) if well else None
        look = await self.store.look(lambda tx: gatings.newest(tx, job))
        return of_end(rows[0], attempts, deeds, well=well, looks=looks, look=look)

    async def _of_handoff(self, job: int, attempt: int | None) -> list[Draft]:
        rows = await self.store.read.rows([job])
        tried = next((one for one in await self.store.read.attempts(job) if one.id == attempt), None)
        if not rows or tried is None:
            return []
        data = read_regular(run_dir(self.home, job, tried.number).path / HANDOFF, HANDOFF_BYTES)
        return of_handoff(rows[0], tried, (data or b"").decode(errors="replace"))

    async def _of_own(self, job: int, number: int) -> list[Draft]:
        """What an agent, or the operator, wrote for whoever goes on."""
        rows = await self.store.read.rows([job])
        found = await self.store.look(lambda tx: hand_offs.of_job(tx, job))
        written = next((one for one in found if one.id == number), None)
        return of_own(rows[0], written) if rows and written is not None else []

    def _converses(self, name: str) -> bool:
        agent = self.agents.get(name)
        return agent is not None and (agent.resumable or agent.converses)


@dataclass(frozen=True, slots=True)
class Looks:
    """A gate that has passed a job, and what it refused before."""

    gate: str
    rounds: int
    refused: tuple[str, ...] = ()


def gated(events: Sequence[log.Event]) -> Looks | None:
    """How a job that succeeded got through its gate; None where none looked at it. Pure."""
    checked = [one.body for one in events if isinstance(one.body, log.GateChecked)]
    if not checked or not checked[-1].passed:
        return None
    refused = [one.body.reason for one in events if isinstance(one.body, log.SentBack)]
    return Looks(checked[-1].gate, checked[-1].round, tuple(dict.fromkeys(refused)))


def of_end(
    job: JobRow,
    attempts: Sequence[AttemptRow],
    deeds: Deeds,
    *,
    well: bool,
    looks: Looks | None = None,
    look: GateLook | None = None,
) -> list[Draft]:
    """What is to be remembered of a job that has ended: its outcome, and what mended it. Pure.

    `looks`: the gate that has passed it: what is learned of it then has that for evidence. `look`: the last of its
    gate. What that has refused mended nothing, whoever took it for done.
    """
    last = attempts[-1]
    taken = look is not None and look.verdict is not Verdict.PASSED
    tries = f" after {len(attempts)} attempts" if len(attempts) > 1 else ""
    target = str(last.target)
    if well:
        said = " ".join((last.result or "").split())[:RESULT_CHARACTERS]
        held = "" if look is None else f", and gate {look.gate} {'refused' if taken else 'passed'} it"
        text = f"{job.title}: succeeded{tries} on {target}{held}.{f' {said}' if said else ''}"
    else:
        failure = str(job.failure or "unknown").replace("_", " ")
        text = f"{job.title}: failed{tries} on {target} as {failure}: {job.reason or 'no reason was told'}"
    evidence = _evidence(job, last)
    if looks is not None:
        evidence.append(f"passed by the gate {looks.gate} in round {looks.rounds}"[:500])
    source = Source(by="outcome", job=job.id, attempt=last.number, evidence=evidence)
    drafts = [
        Draft(
            text=text[:TEXT_LIMIT],
            kind=Kind.OUTCOME,
            scope=_scope(job),
            importance=0.4 if well else 0.6,
            source=source,
        )
    ]
    mended = _mended(deeds.ran) if well and not taken else []
    refused = looks.refused if looks is not None and not taken else ()
    if mended or refused:
        drafts.append(_procedure(job, mended, deeds, source, refused))
    return drafts


def _mended(ran: Sequence[Ran]) -> list[Ran]:
    """Commands that failed, and whose last run did not: with what their last failure printed."""
    failed: dict[str, Ran] = {}
    last: dict[str, Ran] = {}
    for one in ran:
        if one.ok is False:
            failed[one.what] = one
        last[one.what] = one
    return [failed[what] for what, one in last.items() if one.ok and what in failed]


def _procedure(job: JobRow, mended: Sequence[Ran], deeds: Deeds, source: Source, refused: Sequence[str]) -> Draft:
    lines = [f"{job.title}: what mended it."]
    lines += [
        f"- Its gate refused it first: {' '.join(one.split())[:300]}; in the end it passed." for one in refused[:5]
    ]
    for ran in mended[:5]:
        said = next((line.strip() for line in reversed(ran.output.splitlines()) if line.strip()), "")
        lines.append(f"- `{ran.what[:200]}` failed first{f': {said[:200]}' if said else ''}; in the end it passed.")
    edited = list(dict.fromkeys(one.path for one in deeds.edited))
    if edited:
        lines.append(f"- Changed in between: {', '.join(edited[:10])}.")
    others = [one.what for one in deeds.ran if one.ok and one.what not in {each.what for each in mended}]
    if others:
        lines.append(f"- Also run: {'; '.join(f'`{what[:120]}`' for what in dict.fromkeys(others[-5:]))}.")
    text = "\n".join(lines)[:TEXT_LIMIT]
    return Draft(text=text, kind=Kind.PROCEDURE, scope=_scope(job), proposed=True, source=source)


def of_handoff(job: JobRow, tried: AttemptRow, text: str) -> list[Draft]:
    """The parts of a hand-off that are worth more than the attempt they were written for. Pure."""
    heads = list(_SECTION.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    source = Source(by="handoff", job=job.id, attempt=tried.number, evidence=_evidence(job, tried, HANDOFF))
    drafts: list[Draft] = []
    for head, end in zip(heads, ends, strict=True):
        body = text[head.end() : end].strip()
        if head[1] in LEFT_OUT or not body:
            continue
        drafts.append(
            Draft(
                text=f"{job.title}: {head[1].lower()}\n{body}"[:TEXT_LIMIT],
                kind=Kind.EPISODE,
                scope=_scope(job),
                importance=0.3,
                source=source,
                transcript=f"J{job.id}/{tried.number}",
                position=len(drafts),
            )
        )
    return drafts


def of_own(job: JobRow, written: Stored) -> list[Draft]:
    """The traps that somebody met and wrote down: proposed, whoever it was. Pure."""
    source = Source(
        by=written.by, job=job.id, attempt=written.attempt, evidence=[f"hand-off {written.id} of J{job.id}"]
    )
    return [
        Draft(text=f"{job.title}: {trap}"[:TEXT_LIMIT], kind=Kind.FACT, scope=_scope(job), proposed=True, source=source)
        for trap in written.note.traps
    ]


def _scope(job: JobRow) -> str:
    return PROJECT + job.project if job.project else GLOBAL


def _evidence(job: JobRow, tried: AttemptRow, file: str = "") -> list[str]:
    found = [f"runs/{job.id}/{tried.number}{f'/{file}' if file else ''}"]
    if tried.branch:
        found.append(f"branch {tried.branch}"[:500])
    return found
