"""In which conversation an attempt works: the old one goes on, or a new one is handed its state."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from msgspec import structs

from engine import events as log
from engine.agents.base import Agent
from engine.briefing import Omitted, Part
from engine.clock import now_ms
from engine.config import SessionSettings, Settings
from engine.context.assembly import Fitted
from engine.context.brief import structured
from engine.context.handoff import Story, handoff
from engine.context.record import deeds_of, history, moved
from engine.context.resuming import Here, Policy, obstacle, remark, worn
from engine.hand_off import HandOff, Stored
from engine.runner.run_dir import read_regular, run_dir
from engine.runner.workspace import Placed
from engine.sessions import Session
from engine.store.claims import Claim, Desk
from engine.store.rows import AttemptRow
from engine.store.sessions import Begun
from engine.units import tokens

DIFF_BYTES = 64 << 10  #: of a diff that is looked at: more than any hand-off has room for
HANDOFF = "handoff.md"  #: the file of a run directory that holds what the new session was handed

RESUMED = (
    "You were working on this task and were interrupted: {reason}. Look at what is already done in the working "
    "directory, then finish the task."
)
REFUSED = "You said that this task is done. It is not: what has to hold before it is done was looked at, and refused."
MEND = (
    "{findings}\n\nMend that in this working directory, then finish the task. Tests are not deleted, skipped or "
    "weakened for it, and what you say at the end is held against what you did."
)
FOUND = "What has to hold before it is done was looked at, and refused:\n\n{findings}"
TAKEN = (
    "The operator worked in this session with you, and has given the task back to you. Keep to what was agreed, look "
    "at what is already done in the working directory, then finish the task."
)
MOVED = (
    "An earlier session worked on this task in another directory, {workspace}, and you do not have its conversation. "
    "It ended before the task was done: {reason}. What it did may be missing here: look first, then finish the task."
)
AGAIN = (
    "An earlier session worked on this task in this working directory, and you do not have its conversation. It ended "
    "before the task was done: {reason}. Look at what is already done in the working directory, then finish the task."
)
NEXT = (
    "A further task for you in this session. What came before in it is over, unless the new task says otherwise; its "
    "traces may be in the working directory."
)
AFTER = (
    "An earlier session of {worker}, whose work you go on with, did another task in this working directory, and you do "
    "not have its conversation. That task is over: {reason}. What it left may be here."
)
WAS = "The task was:\n\n{prompt}"
IS = "The task is:\n\n{prompt}"


@dataclass(frozen=True, slots=True)
class Earlier:
    """What is known of a job's earlier attempts."""

    attempts: Sequence[AttemptRow] = ()
    events: Sequence[log.Event] = ()
    own: Stored | None = None
    """The newest hand-off that an agent or the operator wrote."""
    refused: str = ""
    """What its gate found of the attempt before, in words, where it was refused."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """What an attempt begins with."""

    task: str
    begun: Begun = field(default_factory=Begun)
    note: str | None = None
    lead: str = ""
    """What comes before a hand-off: in which conversation this is."""
    story: Story | None = None
    """What the hand-off to a new one is made from."""
    room: int = 0
    """Tokens that it may take."""
    others: tuple[int, ...] = ()
    """Hand-offs that were kept before, and are told in it."""
    findings: str = ""
    """What its gate sent back."""

    @property
    def why(self) -> str:
        """Why there is more to be told than the task."""
        if self.begun.resumes is not None:
            return "it goes on in its session"
        return f"a new session begins: {self.begun.why}" if self.begun.why else "a new session begins"

    @property
    def passed(self) -> HandOff:
        """The hand-off in its parts, as it is kept."""
        return structured(self.story) if self.story is not None else HandOff()

    def fit(self, room: int) -> Fitted:
        """The lead, and as much of the hand-off as there is room for."""
        text = handoff(self.story, min(self.room, room - tokens(self.lead))) if self.story is not None else ""
        left: list[Omitted] = []
        if self.story is not None and not text:
            left.append(Omitted(part=Part.HAND_OFF, what="the hand-off", why="there is no room left for it"))
        return Fitted("\n\n".join(filter(None, (self.lead, text))), left=left)


@dataclass(frozen=True, slots=True)
class Talks:
    """Chooses conversations. `version` asks for what is installed of an agent."""

    home: Path
    settings: Settings
    agents: Mapping[str, Agent]
    version: Callable[[Agent], Awaitable[str | None]]
    persona: SessionSettings | None = None
    """What the job's persona says of its sessions."""

    async def of(self, claim: Claim, agent: Agent, placed: Placed, earlier: Earlier) -> Conversation:
        """The conversation of a claimed attempt, once its workspace is there."""
        why, note = claim.why, None
        if claim.session is not None:
            why, note = await self._judge(claim, claim.session, agent, placed)
        if claim.session is not None and not why:
            return _going_on(claim, claim.session, agent, note, earlier.refused)
        if claim.previous is None and claim.desk is not None:
            return await self._at_desk(claim, claim.desk, agent, placed, earlier, why)
        session = str(uuid.uuid4()) if agent.chooses_session else None
        previous = claim.previous
        retires = claim.session.id if claim.session is not None else _left(claim)
        begun = Begun(session, retires=retires if why else None, why=why if previous is not None else "")
        if previous is None or not _is_told(claim, agent):
            # A command has no conversation; and where nothing of the old work is left, there is nothing to hand over.
            findings = _found(earlier.refused) if agent.provider else ""
            return Conversation(claim.spec.prompt, replace(begun, handed=False), findings=findings)
        form = AGAIN if previous.workspace == str(placed.directory) else MOVED
        story = await self._story(claim, agent, placed, earlier, begun.why)
        return Conversation(
            IS.format(prompt=claim.spec.prompt),
            begun,
            lead=form.format(workspace=previous.workspace, reason=_reason(claim)),
            findings=_found(earlier.refused),
            story=story,
            room=self._policy(agent).handoff_tokens,
            others=(earlier.own.id,) if story is not None and earlier.own is not None else (),
        )

    async def _at_desk(
        self, claim: Claim, desk: Desk, agent: Agent, placed: Placed, earlier: Earlier, why: str
    ) -> Conversation:
        """A job that begins in its worker, and not in the session that this has had."""
        session = str(uuid.uuid4()) if agent.chooses_session else None
        left = claim.session.id if claim.session is not None else None
        begun = Begun(session, retires=left if why else None, why=why)
        last, converses = desk.last, agent.resumable or agent.converses
        if last is None or not why or not converses:
            return Conversation(claim.spec.prompt, replace(begun, handed=False))
        story = await self._story(claim, agent, placed, earlier, why)
        if story is not None:
            story = replace(story, task=desk.task, ended=_end_of(last))
        return Conversation(
            IS.format(prompt=claim.spec.prompt),
            begun,
            lead=AFTER.format(worker=desk.name, reason=_end_of(last)),
            story=story,
            room=self._policy(agent).handoff_tokens,
            others=(earlier.own.id,) if story is not None and earlier.own is not None else (),
        )

    async def _judge(self, claim: Claim, session: Session, agent: Agent, placed: Placed) -> tuple[str, str | None]:
        """Why a session does not go on, or what to know of it if it does."""
        version = await self.version(agent) if session.agent_version else None
        here = Here(str(placed.directory), claim.attempt.account, version, now_ms())
        why = obstacle(session, here) or obstacle(_where_it_was(claim, session), here)
        if not why and not claim.fork and not _given_back(claim, session):
            why = worn(session, self._policy(agent), here.now)
        return why, remark(session, here) or None

    def _policy(self, agent: Agent) -> Policy:
        return Policy.of(self.settings, self.settings.agent(agent.name), self.persona)

    async def _story(self, claim: Claim, agent: Agent, placed: Placed, earlier: Earlier, why: str) -> Story | None:
        """What a hand-off is made from; None where there is none to be made."""
        if not self._policy(agent).handoff_tokens or not earlier.attempts:
            return None
        last = next((one for one in reversed(earlier.attempts) if one.started_at is not None), None)
        deeds = await asyncio.to_thread(deeds_of, self.home, earlier.attempts, self.agents)
        diff = await asyncio.to_thread(_diff_of, self.home, last) if last is not None else ""
        if last is not None and last.target != claim.attempt.target:
            why = moved(earlier.events) or why
        own = earlier.own
        return Story(
            task=claim.spec.prompt,
            why=why,
            place=f"{placed.directory}{f', branch {placed.branch}' if placed.branch else ''}",
            ended=_reason(claim),
            changed=_changed(last),
            deeds=deeds,
            diff=diff,
            history=history(earlier.events),
            own=own.note if own is not None else None,
            own_by=own.by if own is not None else "",
        )


def _going_on(claim: Claim, session: Session, agent: Agent, note: str | None, refused: str) -> Conversation:
    form = TAKEN if _given_back(claim, session) else REFUSED if refused else RESUMED
    first = claim.previous is None and claim.desk is not None
    forked = str(uuid.uuid4()) if agent.chooses_session else None
    name = forked if claim.fork else session.id
    task = WAS.format(prompt=claim.spec.prompt)
    if first:
        task, form = IS.format(prompt=claim.spec.prompt), NEXT
    findings = MEND.format(findings=refused) if form is REFUSED else ""
    begun, lead = Begun(name, session.id, claim.fork), form.format(reason=_reason(claim))
    return Conversation(task, begun, note, lead=lead, findings=findings)


def _found(refused: str) -> str:
    return FOUND.format(findings=refused) if refused else ""


def _end_of(last: AttemptRow) -> str:
    return "it succeeded" if last.succeeded else last.reason or "it ended"


def _given_back(claim: Claim, session: Session) -> bool:
    """The operator has worked in it since the last attempt."""
    ended = claim.previous.ended_at if claim.previous is not None else None
    return session.attached_at is not None and session.attached_at >= (ended or 0)


def _where_it_was(claim: Claim, session: Session) -> Session:
    """With the directory of its last attempt, which may have been another one than that it was begun in."""
    last = claim.previous.workspace if claim.previous is not None else None
    return structs.replace(session, workspace=last) if last is not None else session


def _left(claim: Claim) -> str | None:
    """The session that a job leaves for good, where the same agent had one."""
    previous = claim.previous
    return previous.session if previous is not None and previous.agent == claim.attempt.agent else None


def _is_told(claim: Claim, agent: Agent) -> bool:
    previous = claim.previous
    converses = agent.resumable or agent.converses
    return converses and previous is not None and not previous.succeeded and not claim.anew


def _reason(claim: Claim) -> str:
    return (claim.previous.reason if claim.previous is not None else None) or "the attempt ended early"


def _diff_of(home: Path, last: AttemptRow) -> str:
    """What an attempt left changed, from its beginning. Blocks: call it in a thread."""
    data = read_regular(run_dir(home, last.job, last.number).diff, DIFF_BYTES) or b""
    return data.decode(errors="replace")


def _changed(last: AttemptRow | None) -> str:
    if last is None or last.diff_files is None:
        return ""
    return f"{last.diff_files} files +{last.diff_added or 0} -{last.diff_removed or 0}"
