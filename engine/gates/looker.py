"""One look at the work of an attempt: evidence, checks, and claims held against facts. It costs no model."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from engine.agents.base import Agent
from engine.config import Settings
from engine.context.record import deeds_of
from engine.gate import claims, evidence, looking
from engine.gate.book import Gate
from engine.gate.checks import run_checks
from engine.gate.claims import Known
from engine.gate.looking import Result
from engine.gate.places import place_of
from engine.model import CheckResult, Claim, Fact, Finding, GateLook, Severity, Source
from engine.redact import Secrets
from engine.runner.cells import Cells
from engine.runner.environment import environment
from engine.runner.masking import mask
from engine.runner.run_dir import RunDir, run_dir
from engine.runner.workspace import Workspaces
from engine.store import Store, gatings
from engine.store.rows import AttemptRow

SHELL = "shell"  #: the agent whose environment checks get: they are commands too
OUTPUT_CHARS = 4_000  #: of what a check printed, in the database: its end; the run directory has more
MISSING = "headway.yaml does not have this gate any more"


@dataclass(frozen=True, slots=True)
class Looked:
    """What was seen. `trees`: what stood there before and after the checks."""

    look: GateLook
    result: Result
    trees: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Looker:
    """One for an engine."""

    home: Path
    store: Store
    workspaces: Workspaces
    agents: Mapping[str, Agent]
    settings: Settings
    secrets: Secrets
    cells: Cells
    at_once: asyncio.Semaphore
    """So many checks run at one time: each may keep the whole machine busy."""

    async def look(
        self, begun: GateLook, tried: AttemptRow, gate: Gate, words: str, says: Callable[[str], None]
    ) -> Looked:
        """Look at the work of an attempt. `words`: what its agent says of it; `says` is told how far it has come."""
        run = run_dir(self.home, tried.job, tried.number).path
        folder = run / f"gate-{begun.id}"
        says("its workspace is read")
        result = await looking.look(self.workspaces, tried, folder, gate.evidence)
        await asyncio.to_thread(mask, RunDir(folder).diff, self.secrets)
        facts, wrong = evidence.judge(gate.evidence, result.seen)
        if gate.missing:
            facts.append(Fact(name="gate", holds=False, told=MISSING))
        earlier = await self._earlier(begun, tried, gate, result)
        if earlier is not None:
            results, after = earlier.checks, result.tree
        else:
            results, after = await self._checks(begun, tried, gate, folder, result, says)
        held = await self._claims(tried, result, results, words)
        findings = [*_failed(results), *wrong, *claims.refuted(held)]
        out_of = self.secrets.out_of
        findings = [replace(one, what=out_of(one.what), proof=out_of(one.proof)) for one in findings]
        look = replace(
            begun,
            tree=after,
            diff=result.diff,
            evidence=[replace(one, told=out_of(one.told)) for one in facts],
            checks=results,
            claims=[replace(one, quote=out_of(one.quote), proof=out_of(one.proof)) for one in held],
            findings=findings,
            reused=earlier is not None,
            folder=earlier.folder if earlier is not None else folder.name,
        )
        return Looked(look, result, (result.tree, after))

    async def _earlier(self, begun: GateLook, tried: AttemptRow, gate: Gate, result: Result) -> GateLook | None:
        """What the agent has had looked at itself while it worked, if nothing has changed since."""
        if begun.claimed or gate.missing:
            return None
        return await self.store.look(lambda tx: gatings.claimed(tx, tried.id, gate.digest, result.tree))

    async def _checks(
        self, begun: GateLook, tried: AttemptRow, gate: Gate, folder: Path, result: Result, says: Callable[[str], None]
    ) -> tuple[list[CheckResult], str]:
        if not gate.checks:
            return [], result.tree
        # Of this home and this job: so that the checks of no other are taken for them.
        name = f"{self.home.as_uri()}/gates/{tried.job}/{'claim' if begun.claimed else 'end'}"
        marker = uuid.uuid5(uuid.NAMESPACE_URL, name).hex
        given = environment(os.environ, (), {}, self.settings.agent(SHELL), tried.job, marker)
        rows = await self.store.read.rows([tried.job])
        project = rows[0].project if rows else None
        place = await place_of(self.cells, tried.agent, project, result.placed.directory, given, marker, folder)

        def tell(number: int) -> None:
            says(f"check {number} of {len(gate.checks)} runs: {gate.checks[number - 1].command[:100]}")

        says("its checks wait for a turn")
        async with self.at_once:
            results = await run_checks(gate.checks, place, began=tell)
        out_of = self.secrets.out_of
        results = [replace(one, output=out_of(one.output)[-OUTPUT_CHARS:]) for one in results]
        return results, await looking.tree_of(self.workspaces, tried, folder)

    async def _claims(self, tried: AttemptRow, result: Result, results: list[CheckResult], words: str) -> list[Claim]:
        """What the agent said last, held against its own tool calls, the checks, the diff and git."""
        read = claims.read(words)
        if not read:
            return []
        deeds = await asyncio.to_thread(deeds_of, self.home, [tried], self.agents)
        root = result.placed.root or result.placed.directory
        places = {root, result.placed.directory}
        there = [await asyncio.to_thread(looking.named_there, one, claims.paths(read)) for one in places]
        known = Known(
            deeds=deeds,
            checks=results,
            git=await looking.repository(result.placed),
            changed=[one.new for one in result.patches if one.new is not None],
            there=frozenset().union(*there),
        )
        return claims.hold(read, known)


def _failed(results: list[CheckResult]) -> list[Finding]:
    return [
        Finding(
            source=Source.CHECK,
            what=f"`{one.command}`: {one.word}{f', {one.problem}' if one.problem else ''}",
            proof=one.output.strip()[-2_000:],
            severity=Severity.BLOCKER,
            by=f"check: {one.command[:120]}",
        )
        for one in results
        if not one.passed
    ]
