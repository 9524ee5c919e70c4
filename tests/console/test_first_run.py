"""Before there is any job: the agents here, the logins that are missing, the three things to do next."""

from __future__ import annotations

import pytest

from console.first_run import first_run
from engine.model import AgentStatus
from engine.model.account import AccountStatus
from tests.console import scenes
from tests.console.stage import console

CLAUDE = AgentStatus(
    agent="claude", program="claude", version="2.1.0", accounts=[AccountStatus(name="work", ok=True, found="signed in")]
)
CODEX = AgentStatus(
    agent="codex",
    program="codex",
    version="0.98",
    accounts=[AccountStatus(name="default", ok=False, found="not signed in", mend="codex login")],
)
GEMINI = AgentStatus(agent="gemini", program="gemini", version=None, problem="gemini is not installed")
SHELL = AgentStatus(agent="shell", program="sh", version="dash")


def words(agents: list[AgentStatus] | None, *, ascii: bool = False) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in first_run(agents, ascii=ascii)]


def test_each_agent_is_said_with_what_it_lacks() -> None:
    text = "\n".join(words([CLAUDE, CODEX, GEMINI]))
    assert "✓ claude     2.1.0        work: signed in" in text
    assert "! codex      0.98         codex login" in text
    assert "✗ gemini     -            gemini is not installed" in text
    assert "x gemini" in "\n".join(words([GEMINI], ascii=True))


@pytest.mark.parametrize(
    ("agents", "first", "second"),
    [
        ([CLAUDE, CODEX, GEMINI], "headway submit", "codex login  then codex is ready"),
        ([CLAUDE, GEMINI], "headway submit", "headway doctor"),
        ([CODEX, SHELL], "codex login", "headway demo"),
        ([GEMINI, SHELL], "headway doctor", "headway demo"),
        (None, "headway doctor", "headway demo"),
    ],
)
def test_three_things_to_do_next_fit_what_is_here(agents: list[AgentStatus] | None, first: str, second: str) -> None:
    steps = words(agents)[-3:]
    assert steps[0].startswith(f"   1  {first}") and steps[1].startswith(f"   2  {second}") and steps[2][3] == "3"


async def test_the_overview_of_an_empty_engine_says_it() -> None:
    engine = scenes.empty()
    engine.agents_here = [CLAUDE, CODEX]
    async with console(engine) as stage:
        await stage.press("1")
        await stage.shows("codex login  then codex is ready")
        await stage.shows("✓ claude")
