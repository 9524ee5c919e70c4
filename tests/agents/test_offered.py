"""How each agent is told of Headway's server: its own configuration, and its user's left as they are."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from engine.agents.acp import Acp
from engine.agents.base import Assignment, ToolServer
from engine.agents.claude import Claude
from engine.agents.codex import Codex
from engine.agents.gemini import Gemini
from engine.agents.opencode import Opencode
from engine.agents.registry import agents
from engine.config import AgentSettings
from engine.errors import UsageError
from engine.model import Permission

SERVER = ToolServer("headway", ("/usr/bin/python3", "-I", "/a b/shim.py", "/run/mcp.json"), Path("/run/dir"))


def assignment(**more: object) -> Assignment:
    given = {"prompt": "p", "model": None, "workspace": Path("/w"), "run_dir": Path("/r"), "settings": AgentSettings()}
    return Assignment(**{**given, **more})  # type: ignore[arg-type]


def test_claude_gets_a_file_beside_its_users_servers_and_is_not_asked() -> None:
    settings = AgentSettings(allowed_tools=["Bash"])
    launch, env = Claude().offered(Claude().launch(assignment(settings=settings)), SERVER, {})
    argv = list(launch.argv)
    assert argv[argv.index("--mcp-config") + 1] == "/run/dir/servers.json"
    assert "--strict-mcp-config" not in argv
    assert argv[-4:] == ["--mcp-config", "/run/dir/servers.json", "--allowedTools", "mcp__headway"]
    server = json.loads(launch.files["servers.json"])["mcpServers"]["headway"]
    assert [server["command"], *server["args"]] == list(SERVER.command) and server["alwaysLoad"] is True
    assert launch.files["prompt"] == b"p" and not env


def test_codex_gets_options_that_are_toml() -> None:
    launch, _ = Codex().offered(Codex().launch(assignment(resumes="0f5ad0f0-3d0e-4ea5-8a6c-4ab3ac5ae1ba")), SERVER, {})
    argv = list(launch.argv)
    said = [argv[place + 1] for place, word in enumerate(argv) if word == "-c"]
    assert argv.index("-c") < argv.index("resume"), "options of exec stand before it"
    read = tomllib.loads("\n".join(said))["mcp_servers"]["headway"]
    assert [read["command"], *read["args"]] == list(SERVER.command)
    assert read["default_tools_approval_mode"] == "approve" and read["tool_timeout_sec"] > 86_400


def test_opencode_gets_it_among_what_its_environment_says() -> None:
    env = {"OPENCODE_CONFIG_CONTENT": json.dumps({"model": "a/b", "mcp": {"mine": {"type": "local"}}})}
    _, more = Opencode().offered(Opencode().launch(assignment()), SERVER, env)
    content = json.loads(more["OPENCODE_CONFIG_CONTENT"])
    assert content["model"] == "a/b" and set(content["mcp"]) == {"mine", "headway"}
    assert content["mcp"]["headway"]["command"] == list(SERVER.command)
    rules = json.loads(more["OPENCODE_PERMISSION"])
    assert (rules["headway_*"], rules["bash"]) == ("allow", "deny")


@pytest.mark.parametrize("content", ["{", "[]", '{"mcp": 3}'])
def test_opencode_is_refused_where_nothing_can_be_added(content: str) -> None:
    with pytest.raises(UsageError, match="OPENCODE_CONFIG_CONTENT"):
        Opencode().offered(Opencode().launch(assignment()), SERVER, {"OPENCODE_CONFIG_CONTENT": content})


def test_gemini_gets_a_file_of_its_workspace() -> None:
    launch, env = Gemini().offered(Gemini().launch(assignment()), SERVER, {})
    server = json.loads(launch.place[".gemini/settings.json"])["mcpServers"]["headway"]
    assert [server["command"], *server["args"]] == list(SERVER.command) and server["trust"] is True
    assert not env and list(launch.argv) == list(Gemini().launch(assignment()).argv)


def test_an_acp_agent_gets_it_with_its_session_and_gemini_its_own_way() -> None:
    own = AgentSettings(command=["/opt/some-acp"])
    launch, env = Acp().offered(Acp().launch(assignment(settings=own, permission=Permission.ASK)), SERVER, {})
    first, second, rest = launch.files["opening"].split(b"\n")
    assert json.loads(first)["method"] == "initialize" and rest == b""
    (server,) = json.loads(second)["params"]["mcpServers"]
    assert [server["command"], *server["args"]] == list(SERVER.command) and server["env"] == [] and not env
    gemini, _ = Acp().offered(Acp().launch(assignment(permission=Permission.ASK)), SERVER, {})
    assert ".gemini/settings.json" in gemini.place
    opencode = AgentSettings(command=["/opt/opencode", "acp"])
    _, env = Acp().offered(
        Acp().launch(assignment(settings=opencode, permission=Permission.ASK)),
        SERVER,
        {"OPENCODE_PERMISSION": '{"bash":"ask"}'},
    )
    assert json.loads(env["OPENCODE_PERMISSION"]) == {"bash": "ask", "headway_*": "allow"}


def test_those_that_take_tools_are_led_to_them_and_no_others() -> None:
    assert {agent.name for agent in agents().values() if agent.takes_tools} == {
        "claude", "codex", "opencode", "gemini", "acp",
    }  # fmt: skip
