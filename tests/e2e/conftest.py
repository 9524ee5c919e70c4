"""The contract: what every agent is held to, told at the end as a table of agents and cases."""

from __future__ import annotations

import pytest

from tests.e2e.real_agents import PACKAGES

_SAID: dict[tuple[str, str], str] = {}


@pytest.fixture(autouse=True)
def _only_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of this machine stands between the agent and the server on loopback."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    case, _, agent = report.nodeid.rpartition("::")[2].removeprefix("test_").partition("[")
    agent, _, which = agent.removesuffix("]").partition("-")
    case += f" {which}" if which else ""
    if agent not in PACKAGES:
        return
    if report.skipped or report.failed:
        _SAID[case, agent] = "NOT RUN" if report.skipped else "FAILED"
    elif report.when == "call":
        _SAID[case, agent] = f"ok {report.duration:.1f} s"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    cases = list(dict.fromkeys(case for case, _ in _SAID))
    if not cases:
        return
    width = max(len(case) for case in cases)
    terminalreporter.section("agents")
    terminalreporter.line(
        "  ".join([" " * width, *(package.rpartition("/")[2].ljust(19) for package in PACKAGES.values())])
    )
    for case in cases:
        cells = (_SAID.get((case, agent), "-").ljust(19) for agent in PACKAGES)
        terminalreporter.line("  ".join([case.replace("_", " ").ljust(width), *cells]).rstrip())
