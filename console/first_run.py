"""What stands in the overview before there is any job: agents here, missing logins, what to do next. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from console.format import clean_line, fit
from console.roles import Part, Role
from engine.model import AgentStatus

Line = tuple[Part, ...]

_NAME, _VERSION = 11, 12  #: cells of the agent's name and of its version

SUBMIT = 'headway submit "fix the flaky login test"'
DEMO = "headway demo"


def is_ready(agent: AgentStatus) -> bool:
    """It can be started, and no login that is set up for it is wrong."""
    return agent.version is not None and (not agent.accounts or any(one.ok is not False for one in agent.accounts))


def mend_of(agent: AgentStatus) -> str:
    """What would make an agent ready; nothing where it is."""
    if agent.version is None:
        return agent.problem or f"{agent.program} is not installed"
    return next((one.mend or one.found for one in agent.accounts if one.ok is False), "")


def first_run(agents: Sequence[AgentStatus] | None, *, ascii: bool = False) -> list[Line]:
    """The lines. Without agents they are still being looked for: some take seconds to say their version."""
    lines: list[Line] = [(), ((" agents here", Role.HEADING),)]
    if agents is None:
        lines.append((("   looking for them", Role.MUTED),))
    else:
        lines += [_agent(agent, ascii) for agent in agents] or [(("   none is known", Role.MUTED),)]
    lines += [(), ((" what to do next", Role.HEADING),)]
    return lines + [
        ((f"   {number}  ", Role.MUTED), (command, Role.KEY), (f"  {why}" if why else "", Role.MUTED))
        for number, (command, why) in enumerate(_steps(agents or ()), 1)
    ]


def _agent(agent: AgentStatus, ascii: bool) -> Line:
    ready = is_ready(agent)
    there = agent.version is not None
    glyph, role = ("✓", Role.DONE) if ready else ("!", Role.WAIT) if there else ("✗", Role.MUTED)
    sign = {"✓": "+", "✗": "x"}.get(glyph, glyph) if ascii else glyph
    found = ", ".join(clean_line(f"{one.name}: {one.found}") for one in agent.accounts if one.ok)
    said = found if ready else clean_line(mend_of(agent))
    return (
        (f"   {sign} ", role),
        (fit(agent.agent, _NAME), Role.TEXT),
        (fit(clean_line(agent.version or "-"), _VERSION), Role.MUTED),
        (f" {said}", Role.MUTED if ready or not there else Role.TEXT),
    )


def _steps(agents: Iterable[AgentStatus]) -> list[tuple[str, str]]:
    """The three things to do, each a command and why."""
    agents = list(agents)
    unready = [agent for agent in agents if not is_ready(agent)]
    waiting = next((agent for agent in unready if agent.version is not None), None)
    mend = (clean_line(mend_of(waiting)), f"then {waiting.agent} is ready") if waiting is not None else None
    if any(is_ready(agent) and agent.agent not in ("shell", "llm") for agent in agents):
        return [
            (SUBMIT, "in a git project, in another terminal"),
            mend or ("headway doctor", "says what else is missing"),
            (DEMO, "a rehearsal of a whole fleet, without keys or cost"),
        ]
    return [
        mend or ("headway doctor", "says how to install an agent and to sign in"),
        (DEMO, "a rehearsal of a whole fleet, without keys or cost"),
        (SUBMIT, "once an agent is ready, in a git project"),
    ]
