"""`claim_done`: the gate of a job looks at the work while its agent is still there to mend it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from engine.mcp.asking import Questions
from engine.mcp.caller import Caller
from engine.mcp.tools import ClaimDone
from engine.model import GateLook
from engine.plain import plain, plain_line
from engine.redact import Secrets

FINDINGS = 20  #: that are told; more are mended after these
PROOF = 1_500  #: characters of what shows a finding: the end of an output is what says most
LINE = 400

PASSED = (
    "Nothing was found wrong. Say what you did, and stop: the same is checked once more when you have ended, and what "
    "reviewers find comes back to you."
)
REFUSED = "It is not done. Mend this, then claim again:"

Gate = Callable[[int, str], Awaitable[GateLook]]  #: looks at a live attempt, and at what its agent says of it


class Claims:
    """One for an engine."""

    def __init__(self, gate: Gate, questions: Questions, secrets: Secrets) -> None:
        self._gate = gate
        self._questions = questions
        self._secrets = secrets

    async def claim(self, caller: Caller, given: ClaimDone) -> str:
        with self._questions.waiting(caller):  # its checks may take longer than an agent may be silent
            look = await self._gate(caller.attempt, plain(given.summary).strip())
        return self._secrets.out_of(plain("\n".join(told(look))).strip())


def told(look: GateLook) -> Iterator[str]:
    """A look, as its agent is told it. Pure."""
    lacking = [fact for fact in look.evidence if not fact.holds]
    if not look.findings and not lacking:
        yield PASSED
        return
    yield REFUSED
    if not look.findings:
        yield from (f"- {plain_line(f'{fact.name}: {fact.told}', LINE)}" for fact in lacking)
    for one in look.findings[:FINDINGS]:
        place = f"{one.file}{f':{one.line}' if one.line is not None else ''}: " if one.file else ""
        by = f" ({plain_line(one.by, 120)})" if one.by else ""
        yield f"- [{one.severity}] {plain_line(place + one.what, LINE)}{by}"
        proof = one.proof.strip()
        if proof:
            yield from (f"    {line}" for line in proof[-PROOF:].splitlines())
    if len(look.findings) > FINDINGS:
        yield f"- and {len(look.findings) - FINDINGS} more"
