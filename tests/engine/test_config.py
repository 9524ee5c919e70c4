"""headway.yaml: what it can say, and how it is told what it cannot."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from engine.config import AgentSettings, ProjectSettings, Settings, find_settings, load_settings
from engine.errors import UsageError
from engine.model import Workspace

AGENTS = ("claude", "shell")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "headway.yaml"


def wrong(file: Path, text: str | bytes) -> str:
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UsageError) as error:
        load_settings(file, AGENTS)
    assert "\n" not in str(error.value)
    return str(error.value).replace(str(file), "FILE")


def test_without_a_file_and_with_an_empty_one_all_is_default(file: Path) -> None:
    file.write_text("# nothing yet\n")
    assert load_settings(None, AGENTS) == load_settings(file, AGENTS) == Settings()


def test_everything_that_can_be_said(file: Path) -> None:
    file.write_text(
        "max_running: 3\ndefault_agent: shell\ngrace: 2.5\ntheme: dusk\nkeys: {quit: ctrl+q}\n"
        "agents:\n  claude: {command: [npx, claude], model: opus, max_running: 0, env: {A: b}, pass_env: [KEY]}\n"
        "projects:\n  api: {path: /src/api, workspace: project}\n"
    )
    found = load_settings(file, AGENTS)
    assert (found.max_running, found.default_agent, found.grace, found.theme) == (3, "shell", 2.5, "dusk")
    assert found.agent("claude") == AgentSettings(
        command=["npx", "claude"], model="opus", max_running=0, env={"A": "b"}, pass_env=["KEY"]
    )
    assert found.agent("shell") == AgentSettings()
    assert found.projects == {"api": ProjectSettings(path="/src/api", workspace=Workspace.PROJECT)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_runing: 3\n", "FILE, line 1: no key 'max_runing'; did you mean 'max_running'?"),
        ("max_running: -1\n", "FILE, line 1: max_running: expected int >= 0"),
        ("max_running: 10001\n", "FILE, line 1: max_running: expected int <= 10000"),
        ("max_running: many\n", "FILE, line 1: max_running: expected int, got text"),
        ("grace: 601\n", "FILE, line 1: grace: expected float <= 600.0"),
        ("grace: .nan\n", "FILE, line 1: grace"),
        ("agents:\n  claude:\n    comand: [x]\n", "FILE, line 3: no key 'comand'; did you mean 'command'?"),
        ("agents:\n  claude:\n    command: x\n", "FILE, line 3: command: expected a list, got text"),
        ("agents:\n  claude:\n", "FILE, line 2: agents.claude: expected a mapping, got nothing"),
        ("agents:\n  claude: {env: {PORT: 80}}\n", "FILE, line 2: env.PORT: expected text, got int"),
        ("projects:\n  api: {}\n", "FILE, line 2: 'path' is missing"),
        ("projects:\n  api:\n    path: /x\n    workspace: tree\n", "FILE, line 4: workspace: 'tree' is not valid"),
        ("keys:\n  quit: 1\n", "FILE, line 2: keys.quit: expected text, got int"),
        ("agents:\n  clade: {}\n", "there is no agent 'clade'; did you mean 'claude'?"),
        ("default_agent: zzz\n", "there is no agent 'zzz'; there are claude, shell"),
        (b"theme: \xff\xfe\n", "FILE cannot be read: 'utf-8' codec can't decode byte 0xff in position 7"),
        (b"\x00\x00\x00\x00", "FILE, line 1: the character U+0000 is not allowed"),
    ],
)
def test_what_is_wrong_names_file_line_key_and_the_nearest_word(file: Path, text: str | bytes, said: str) -> None:
    assert said in wrong(file, text)


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_settings(tmp_path, AGENTS)
    with pytest.raises(UsageError, match="cannot be read"):
        load_settings(tmp_path / "nowhere.yaml", AGENTS)


def test_the_home_comes_before_the_configuration_directory(tmp_path: Path) -> None:
    home, config = tmp_path / "home", tmp_path / "config"
    (config / "headway").mkdir(parents=True)
    home.mkdir()
    assert find_settings(home, config) is None
    (config / "headway" / "headway.yaml").touch()
    assert find_settings(home, config) == config / "headway" / "headway.yaml"
    (home / "headway.yaml").touch()
    assert find_settings(home, config) == home / "headway.yaml"


@given(st.binary(max_size=80) | st.text().map(str.encode))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_settings_or_a_usage_error(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    try:
        load_settings(file, AGENTS)
    except UsageError as error:
        assert str(file) in str(error)
