"""Gathers all that an attempt could be told, and has it assembled: before a run to show it, at its start to tell it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from msgspec import structs

from engine.agents.base import Agent
from engine.agents.logins import config_variables
from engine.briefing import Part, Place
from engine.config import AccountSettings, Settings
from engine.context import known as remembered
from engine.context.assembly import Assembled, Offer, Way, assemble, whole
from engine.context.conversation import Conversation, Earlier, Talks
from engine.context.known import Known
from engine.context.personas import Personas, scopes_of
from engine.gate import verdict
from engine.memory.answers import Recalled
from engine.memory.item import READER
from engine.model import JobSpec, Verdict
from engine.personas import telling
from engine.personas.persona import Persona
from engine.runner import credentials, kit, sheets
from engine.runner.credentials import Held
from engine.runner.environment import environment
from engine.runner.version import Versions
from engine.runner.workspace import Placed
from engine.store import Store, gatings, hand_offs
from engine.store.claims import Claim

PAST_EVENTS = 10_000  #: of a job's log that a hand-off is made from


@dataclass(frozen=True, slots=True)
class Brief:
    """What an attempt is told, and what has to be done so that it is."""

    talk: Conversation
    told: Assembled
    packing: kit.Packing = field(default_factory=kit.Packing)
    sheet: sheets.Sheet | None = None
    """The file for what holds for the whole conversation, where that goes into one."""

    @property
    def handoff(self) -> str:
        """The hand-off as it is told."""
        piece = self.told.context.piece(Part.HAND_OFF)
        text = (piece.text or "") if piece is not None and self.talk.story is not None else ""
        return text.removeprefix(self.talk.lead).strip()

    @property
    def standing(self) -> str:
        """What goes to the end of the system prompt."""
        return self.told.standing if self.sheet is None else ""

    @property
    def native(self) -> tuple[str, ...]:
        return tuple(self.packing.native)


@dataclass(frozen=True, slots=True)
class Briefer:
    """One for an engine."""

    home: Path
    settings: Settings
    agents: Mapping[str, Agent]
    versions: Versions
    known: Known | None = None
    """Asks memory; None where there is none."""

    async def of(self, claim: Claim, agent: Agent, placed: Placed, earlier: Earlier) -> Brief:
        """What a claimed attempt is told. Puts nothing anywhere.

        Raises `RefusedError` for a persona or a skill that the job names and that cannot be had any more.
        """
        job, spec = claim.job, claim.spec
        people = Personas.of(self.home, self.settings)
        persona = await asyncio.to_thread(people.of_job, spec, job.project) if _is_told(agent) else None
        own = persona.head.session if persona is not None and persona.head is not None else None
        talk = await Talks(self.home, self.settings, self.agents, self._version, own).of(claim, agent, placed, earlier)
        order = self._order(claim, agent, placed, resumes=talk.begun.resumes is not None)
        packing = await kit.pack(order, self.settings)
        scopes = scopes_of(job.project, persona) if job.kind != READER else []
        recalled = await self._recalled(agent, job.project, f"{job.title}\n{spec.prompt}", scopes)
        # One that goes on was told when it began.
        fresh = recalled if talk.begun.resumes is None else structs.replace(recalled, parts=[], left=0)
        way, target = await asyncio.to_thread(self._way, agent, order)
        holds = persona is not None or recalled.core
        if target is not None and holds and not await kit.writable(placed):
            way, target = Way(note="its repository's info/exclude cannot be written", silent=order.resumes), None
        told = assemble(
            self._offers(claim, persona, talk, packing, fresh),
            self.settings.context.tokens,
            way,
            [recalled.without] if recalled.without and talk.begun.resumes is None else [],
        )
        told = replace(told, context=structs.replace(told.context, model=fresh.model if fresh.parts else None))
        sheet = None
        if target is not None and told.standing:
            path, theirs = target
            sheet = sheets.Sheet(path, told.standing, theirs)
        return Brief(talk, told, packing, sheet)

    async def _recalled(self, agent: Agent, project: str | None, question: str, scopes: list[str]) -> Recalled:
        if self.known is None:
            return Recalled(question=question, scopes=scopes)
        return await self.known.recalled(agent, project, question, scopes)

    def _offers(
        self, claim: Claim, persona: Persona | None, talk: Conversation, packing: kit.Packing, recalled: Recalled
    ) -> list[Offer]:
        """All that could be told."""
        offers = [Offer(Part.TASK, "what was asked for", whole(talk.task))]
        if persona is not None and persona.head is not None:
            why = f"{_who_says(claim.spec)}; {persona.source}: {persona.path}"
            offers.append(Offer(Part.PERSONA, why, whole(telling.who(persona.head, persona.text))))
            offers.append(Offer(Part.RULES, f"of the persona {persona.name}", whole(telling.rules(persona.head))))
        if recalled.core:
            text, details = remembered.core_text(recalled), remembered.core_details(recalled)
            offers.append(Offer(Part.CORE, "the core files of its scopes", whole(text, details)))
        if packing.given:
            resumes = talk.begun.resumes is not None
            fit = partial(packing.fit, resumes=resumes)
            offers.append(Offer(Part.SKILLS, "chosen for the job", fit, self.settings.skills.tokens))
        if recalled.parts or recalled.left:
            most = max(0, self.settings.memory.budget - sum(one.tokens for one in recalled.core))
            offers.append(Offer(Part.RECALLED, "it fits the task", partial(remembered.fit, recalled), most))
        if talk.findings:
            offers.append(Offer(Part.FINDINGS, "its gate refused the attempt before", whole(talk.findings)))
        if talk.lead:
            offers.append(Offer(Part.HAND_OFF, talk.why, talk.fit))
        return offers

    def _way(self, agent: Agent, order: kit.Order) -> tuple[Way, tuple[Path, str] | None]:
        """Where the persona, its rules and the core go. Blocks."""
        if agent.appends(self.settings.agent(agent.name), order.env):
            return Way(Place.SYSTEM, agent.appended_by), None
        silent = order.resumes
        if not agent.sheets:
            return Way(silent=silent), None
        usual, *instead = agent.sheets
        if not order.own:
            return Way(note="it works in your own directory, where nothing is put", silent=silent), None
        found = sheets.choose(order.placed.directory, sheets.Names(usual, instead[0] if instead else ""))
        if found is None:
            return Way(note=f"the project has a file of its own, {usual}", silent=silent), None
        return Way(Place.FILE, found[0].name), found

    def _order(self, claim: Claim, agent: Agent, placed: Placed, *, resumes: bool) -> kit.Order:
        """For whom skills are packed."""
        job, marker = claim.job, claim.attempt.marker
        settings = self.settings.agent(agent.name)
        account = self.settings.accounts.get(claim.attempt.account or "")
        return kit.Order(
            spec=claim.spec,
            title=job.title,
            project=job.project,
            agent=agent,
            placed=placed,
            own=_is_own(claim, agent, placed),
            resumes=resumes,
            env=environment(os.environ, agent.pass_env, {}, settings, job.id, marker, account, _folder(account)),
        )

    async def _version(self, agent: Agent) -> str | None:
        return await self.versions.of(agent.version_command(self.settings.agent(agent.name)))


async def earlier_of(store: Store, claim: Claim) -> Earlier:
    """What a new session is told of the earlier ones, where there were any."""
    read, job, desk = store.read, claim.job.id, claim.desk
    if claim.previous is None and desk is not None and desk.last is not None:
        before = desk.last.job
        own = await store.look(lambda tx: hand_offs.newest(tx, before, own=True))
        return Earlier(await read.attempts(before), await read.events(0, PAST_EVENTS, before), own)
    if claim.previous is None:
        return Earlier()
    attempts = [one for one in await read.attempts(job) if one.id != claim.attempt.id]
    own = await store.look(lambda tx: hand_offs.newest(tx, job, own=True))
    look = await store.look(lambda tx: gatings.newest(tx, job))
    here = look is not None and look.verdict is Verdict.REFUSED and look.attempt == claim.previous.number
    refused = verdict.told(look) if look is not None and here else ""
    return Earlier(attempts, await read.events(0, PAST_EVENTS, job), own, refused)


def _folder(account: AccountSettings | None) -> Held:
    """The account's own folder of its agent, as far as that says where the agent looks."""
    if account is None or not account.config_dir:
        return Held()
    return Held(config_variables(account, str(credentials.whole(account.config_dir))))


def _is_own(claim: Claim, agent: Agent, placed: Placed) -> bool:
    """Whether the workspace is the job's own, or its worker's, and not the user's checkout."""
    if claim.desk is not None:
        kept = not claim.job.project or str(placed.directory) != claim.job.project
        return kept or placed.repository is not None  # the latter where the worktree is only foreseen
    return placed.repository is not None or not (claim.job.project and agent.effects)


def _is_told(agent: Agent) -> bool:
    """It is told something in words. A command is not."""
    return agent.takes_skills


def _who_says(spec: JobSpec) -> str:
    return f"the persona of its worker {spec.worker}" if spec.worker is not None else "the job's persona"
