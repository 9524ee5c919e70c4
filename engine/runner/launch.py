"""From a claim to a running process: workspace, command line, environment, shim."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path

import msgspec

from engine.agents.base import STANDING, Agent, Assignment, Launch
from engine.agents.registry import check_job
from engine.briefing import Context, Part
from engine.config import AccountSettings, Settings
from engine.context.conversation import HANDOFF, Earlier
from engine.context.known import Known
from engine.errors import HeadwayError, RefusedError
from engine.foreign import NOT_JSON
from engine.mcp.offering import Offers
from engine.model import JobSpec, Permission, Workspace
from engine.permission import chosen
from engine.redact import Secrets
from engine.runner import credentials, kit, placing, procfs, record, resources, spawn, voice
from engine.runner.briefer import Brief, Briefer
from engine.runner.cells import Cells
from engine.runner.cgroup import Cgroups
from engine.runner.credentials import Held
from engine.runner.enforcing import Enforcer
from engine.runner.environment import environment
from engine.runner.run_dir import Facts, RunDir, read_regular
from engine.runner.tree import Tree
from engine.runner.version import Versions
from engine.runner.workspace import Placed, Wanted, Workspaces
from engine.store.claims import Claim
from engine.tap.door import Whose
from engine.tap.leading import lead
from engine.tap.tap import Tap
from engine.units import tokens

CONTEXT_BYTES = 4 << 20
CONTEXT = "context.json"  #: the file of a run directory that says what was told, why, and what was left out
NOTHING = Earlier()  #: a job's first attempt has nothing before it


@dataclass(frozen=True, slots=True)
class Plan:
    """What an attempt is to be, wherever it is then started."""

    placed: Placed
    brief: Brief
    permission: Permission


@dataclass(frozen=True, slots=True)
class Prepared:
    """An attempt that only has to be started."""

    agent: Agent
    placed: Placed
    launch: Launch
    brief: Brief
    account: AccountSettings | None = None
    held: Held = field(default_factory=Held)
    tapped: str | None = None
    """Where its calls go, by way of the tap."""
    capability: str | None = None
    """The hash of the token by which it calls Headway."""
    without: str = ""
    """Why it has no tools that it should have."""


@dataclass(frozen=True, slots=True)
class Launcher:
    """Starts attempts. Raises `HeadwayError`s for what cannot be started, with the reason that the job will show."""

    settings: Settings
    agents: Mapping[str, Agent]
    workspaces: Workspaces
    cgroups: Cgroups
    versions: Versions = field(default_factory=Versions)
    cells: Cells | None = None
    """The sandboxes."""
    secrets: Secrets = field(default_factory=Secrets)
    """What is given to attempts and must not be told."""
    tap: Tap | None = None
    """For the accounts that ask for it."""
    offers: Offers | None = None
    """The tools that attempts are given."""
    known: Known | None = None
    """What a new conversation is told of memory."""

    @property
    def briefer(self) -> Briefer:
        """Gathers what attempts are told."""
        return Briefer(self.workspaces.home, self.settings, self.agents, self.versions, self.known)

    @property
    def enforcer(self) -> Enforcer:
        """Tells what attempts may take of the machine."""
        return Enforcer(self.settings, self.cgroups)

    def agent(self, name: str) -> Agent:
        agent = self.agents.get(name)
        if agent is None:
            raise RefusedError(f"there is no agent {name!r}; there are {', '.join(sorted(self.agents))}")
        return agent

    def _account(self, claim: Claim) -> AccountSettings | None:
        """The settings may have changed since the job was accepted."""
        name, agent = claim.attempt.account, claim.attempt.agent
        if name is None:
            return None
        account = self.settings.accounts.get(name)
        if account is None:
            raise RefusedError(
                f"headway.yaml has no account {name!r} any more; reroute the job, or name it there again"
            )
        if account.agent != agent:
            raise RefusedError(f"the account {name!r} is one of {account.agent} in headway.yaml, and not of {agent}")
        return account

    def permission(self, spec: JobSpec, project: str | None, agent: Agent) -> Permission:
        """Who decides on its tools. What a project says of all its jobs is about agents that can ask."""
        found = chosen(spec.permission, agent.name, project, self.settings)
        if found is not Permission.ASK or agent.asks:
            return found
        own = spec.permission is Permission.ASK or self.settings.agent(agent.name).permission is Permission.ASK
        if own and agent.provider:
            raise RefusedError(
                f"{agent.name} cannot ask while it works: leave permission: ask out, or use an agent that can"
            )
        return Permission.PRESET

    async def prepare(self, claim: Claim, run: RunDir, earlier: Earlier = NOTHING) -> Prepared:
        """Make the workspace and the command line."""
        return await self.equip(claim, run, await self.plan(claim, run, earlier))

    async def plan(self, claim: Claim, run: RunDir, earlier: Earlier = NOTHING) -> Plan:
        """Make the workspace, and find what the attempt is told. Puts nothing into the workspace."""
        agent = self.agent(claim.attempt.agent)
        self._account(claim)
        check_job(claim.spec, agent.name, claim.attempt.model, self.settings)
        permission = self.permission(claim.spec, claim.job.project, agent)
        previous = claim.previous
        before = previous or claim.shares
        run.make()
        wanted = Wanted(
            job=claim.job.within or claim.job.id,
            title=claim.job.title,
            project=claim.job.project if agent.effects else None,
            workspace=claim.spec.workspace or Workspace.WORKTREE,
            base=before.base if before else None,
            branch=before.branch if before else claim.desk.branch if claim.desk is not None else None,
            marker=claim.attempt.marker,
            first=claim.attempt.number == 1 and not claim.job.within,
            start=claim.spec.base,
            worker=claim.desk.name if claim.desk is not None else None,
        )
        if not self.cgroups.limits and resources.allowed(claim, self.settings) != resources.NOTHING:
            await self.cgroups.look()
        if self.cells is not None:
            await self.cells.hold(agent.name, wanted.project)
        placed = await self.workspaces.prepare(wanted, run)
        if claim.anew and previous is not None and claim.desk is None:
            await self.workspaces.set_back(placed, previous.number, claim.attempt.marker)
        try:
            return Plan(placed, await self.briefer.of(claim, agent, placed, earlier), permission)
        except HeadwayError:
            await self.give_up(claim, run, placed)
            raise

    async def give_up(self, claim: Claim, run: RunDir, placed: Placed) -> None:
        """Leave nothing of an attempt that cannot be started."""
        await kit.take_away(run)
        if claim.job.within is None:
            await self.workspaces.tidy(placed)

    async def equip(self, claim: Claim, run: RunDir, plan: Plan) -> Prepared:
        """Put what it is given into the workspace, and make the command line."""
        agent = self.agent(claim.attempt.agent)
        account = self._account(claim)
        placed, brief = plan.placed, plan.brief
        try:
            await kit.put(placed, run, claim.attempt.marker, brief.packing, brief.told.notes, brief.sheet)
            talk = brief.talk
            assignment = Assignment(
                prompt=brief.told.prompt,
                model=claim.attempt.model,
                workspace=placed.directory,
                run_dir=run.path,
                settings=self.settings.agent(agent.name),
                session=talk.begun.session,
                resumes=talk.begun.resumes,
                fork=talk.begun.forked,
                account=account,
                system=claim.spec.system,
                schema=claim.spec.schema,
                permission=plan.permission,
                standing=brief.standing,
                skills=brief.native,
            )
            launch = agent.launch(assignment)
            held = await credentials.held(agent.name, launch, account, os.environ)
            prepared = self._instructed(claim, run, Prepared(agent, placed, launch, brief, account, held))
            prepared = await self._offered(claim, run, prepared)
            if account is not None and account.tap:
                prepared = self._led(claim, prepared)
            return await self._confined(claim, prepared, run)
        except HeadwayError:
            await self.give_up(claim, run, placed)
            raise

    def _instructed(self, claim: Claim, run: RunDir, prepared: Prepared) -> Prepared:
        """With what its environment has to say of what holds for the whole conversation."""
        if not prepared.brief.standing:
            return prepared
        more = prepared.agent.instructed(str(run.path / STANDING), self._environment(claim, prepared))
        return replace(prepared, held=replace(prepared.held, env={**prepared.held.env, **more})) if more else prepared

    async def _offered(self, claim: Claim, run: RunDir, prepared: Prepared) -> Prepared:
        """With the tools that it may call."""
        if self.offers is None:
            return prepared
        env = self._environment(claim, prepared)
        found = self.offers.of(claim, prepared.agent, run, prepared.launch, env)
        if found is None:
            return prepared
        files, without = found.launch.place, ""
        if files and not await placing.place(files, prepared.placed, run, claim.attempt.marker):
            without = f"it has none of Headway's tools: {', '.join(files)} cannot be put into its workspace"
        held = replace(prepared.held, env={**prepared.held.env, **found.env})
        return replace(prepared, launch=found.launch, held=held, capability=found.capability, without=without)

    def _led(self, claim: Claim, prepared: Prepared) -> Prepared:
        """By way of the tap."""
        attempt, account = claim.attempt, prepared.account
        assert account is not None, "only an account has a tap"
        if self.tap is None or not prepared.held.secrets:
            raise RefusedError("the account's tap is for an API key, and it has none here")
        whose = Whose(attempt.job, attempt.id, str(attempt.account), attempt.marker, attempt.model)
        env = self._environment(claim, prepared)
        led = lead(self.tap, whose, prepared.launch, prepared.held, account, attempt.model, env)
        return replace(prepared, launch=led.launch, held=led.held, tapped=led.upstream)

    async def _confined(self, claim: Claim, prepared: Prepared, run: RunDir) -> Prepared:
        """In a sandbox, where the settings ask for one."""
        if self.cells is None:
            return prepared
        env, project = self._environment(claim, prepared), claim.job.project
        tap = self.tap.port if self.tap is not None and prepared.tapped is not None else None
        argv = await self.cells.wrapped(
            prepared.launch, prepared.agent, project, prepared.placed, run, env, claim.attempt.id, tap
        )
        return replace(prepared, launch=replace(prepared.launch, argv=argv))

    def _environment(self, claim: Claim, prepared: Prepared) -> dict[str, str]:
        agent, attempt = prepared.agent, claim.attempt
        passed = (*agent.pass_env, *prepared.launch.pass_env)
        settings, account = self.settings.agent(agent.name), prepared.account
        return environment(
            os.environ, passed, prepared.launch.env, settings, claim.job.id, attempt.marker, account, prepared.held
        )

    async def used(self, claim: Claim, brief: Brief) -> None:
        """What was told of memory is in use: the attempt has begun."""
        items, known = brief.told.context.items, self.briefer.known
        if known is not None and items:
            await known.memory.note_use(items, claim.job.id, claim.attempt.number)

    def start(self, claim: Claim, run: RunDir, prepared: Prepared) -> Tree:
        """Note where it runs, and start it."""
        placed, agent = prepared.placed, prepared.agent
        env = self._environment(claim, prepared)
        self.secrets.learn_from(env)
        self.secrets.learn(prepared.held.secrets)
        for name, content in prepared.launch.files.items():
            (run.path / name).write_bytes(content)
        brief = prepared.brief
        if brief.handoff:
            (run.path / HANDOFF).write_text(self.secrets.out_of(brief.handoff), errors="replace")
        if brief.sheet is not None:
            (run.path / STANDING).write_text(self.secrets.out_of(brief.sheet.text), errors="replace")
        account_of(run, brief.told.context)
        if prepared.launch.talks:
            voice.open_for(run)
        kept = agent.record(env)
        noted = facts(prepared)
        run.note(msgspec.structs.replace(noted, record=kept, recorded=record.size(kept, noted.session)))
        may = resources.allowed(claim, self.settings)
        limits = resources.ulimits(may, spawn.open_files_limit(), spawn.hard_limits())
        marker, scopes = claim.attempt.marker, self.cgroups.scoped(may)
        if scopes is None:
            group = self.cgroups.create(marker, may)
            held, begins = [limits, str(group or ""), ""], list[str]()
        else:
            group = scopes.group(marker)
            held, begins = [limits, "", str(group)], scopes.command(marker, may)
        pid = _spawn(run, prepared.launch, env, held, str(placed.directory), begins)
        return Tree(procfs.identity(pid), marker, group)


def _spawn(
    run: RunDir, launch: Launch, env: Mapping[str, str], held: Sequence[str], directory: str, begins: Sequence[str] = ()
) -> int:
    """`held`: what the shim is told of limits, of the group to join, and of the one that it is in already."""
    shim = str(files("engine.runner") / "shim.sh")
    given = str(run.path / launch.stdin) if launch.stdin else os.devnull
    stdin, first = (str(run.pipe), given) if launch.talks else (given, "")
    nothing = os.open(os.devnull, os.O_RDWR)
    errors = os.open(run.stderr, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.close(os.open(run.stdout, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))  # the shim's would have the usual mode
    try:
        return spawn.spawn(
            [*begins, "/bin/sh", shim, str(run.path), directory, stdin, launch.stderr, *held, first, *launch.argv],
            env,
            spawn.Streams(nothing, nothing, errors),
        )
    except OSError as error:
        if error.errno in (errno.E2BIG, errno.ENOENT, errno.EACCES):
            raise RefusedError(f"the attempt could not be started: {error.strerror}") from error
        raise
    finally:
        os.close(nothing)
        os.close(errors)


def account_of(run: RunDir, context: Context) -> None:
    """Write down what is told and why, without the words: what was remembered may have to be forgotten."""
    if len(context.pieces) > 1 or context.left_out or context.without:
        pieces = [msgspec.structs.replace(one, text=None) for one in context.pieces]
        (run.path / CONTEXT).write_bytes(msgspec.json.encode(msgspec.structs.replace(context, pieces=pieces)))


def told_of(run: RunDir) -> dict[Part, int]:
    """Tokens of what an attempt is told beside its task, as its run directory keeps it."""
    try:
        context = msgspec.json.decode(read_regular(run.path / CONTEXT, CONTEXT_BYTES) or b"", type=Context)
    except NOT_JSON:
        return {}
    return {one.part: one.tokens for one in context.pieces if one.part is not Part.TASK and one.tokens}


def facts(prepared: Prepared) -> Facts:
    noted = planned_facts(prepared.placed, prepared.brief, prepared.without)
    return msgspec.structs.replace(noted, tapped=prepared.tapped, capability=prepared.capability)


def planned_facts(placed: Placed, brief: Brief, without: str = "") -> Facts:
    """What is known of an attempt before it has a command line."""
    talk = brief.talk
    return Facts(
        workspace=str(placed.directory),
        session=talk.begun.session,
        branch=placed.branch,
        base=placed.base,
        repository=str(placed.repository) if placed.repository else None,
        root=str(placed.root) if placed.root else None,
        resumes=talk.begun.resumes,
        forked=talk.begun.forked,
        retires=talk.begun.retires,
        why=talk.begun.why,
        handed=talk.begun.handed,
        note="; ".join(filter(None, (talk.note, *brief.told.context.without, without))) or None,
        tokens=tokens(brief.handoff),
    )


def placed_at(noted: Facts | None) -> Placed | None:
    """The workspace that was noted before an attempt was started."""
    if noted is None:
        return None
    return Placed(
        directory=Path(noted.workspace),
        root=Path(noted.root) if noted.root else None,
        repository=Path(noted.repository) if noted.repository else None,
        branch=noted.branch,
        base=noted.base,
    )
