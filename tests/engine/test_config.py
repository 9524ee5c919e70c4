"""headway.yaml: what it can say, and how it is told what it cannot."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from engine.agents.registry import agents, complaints, read_settings
from engine.config import (
    AgentSettings,
    Api,
    KeyReference,
    ProjectSettings,
    ProviderSettings,
    Settings,
    find_settings,
    load_settings,
)
from engine.dispatch.pacing import UNPACED, Mode, Pacing
from engine.dispatch.snapshot import Configured
from engine.documents import DocumentError
from engine.documents.tree import lines_in
from engine.errors import UsageError
from engine.model import Workspace
from tests.engine.shapes import shape_of, written

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
    ("said", "pacing"),
    [
        ("off", UNPACED),
        ("'off'", UNPACED),
        ("even", Pacing(Mode.EVEN, background=4)),
        ("{even: true, background: 7}", Pacing(Mode.EVEN, background=7)),
        ("{reserve: 20%}", Pacing(Mode.RESERVE, 0.2, 6)),
        ("{reserve: 12.5 %, background: 0}", Pacing(Mode.RESERVE, 0.125, 0)),
    ],
)
def test_pacing_as_it_is_written(file: Path, said: str, pacing: Pacing) -> None:
    file.write_text(f"pacing: {said}\naccounts:\n  a: {{agent: claude}}\n  b: {{agent: claude, pacing: {said}}}\n")
    found = Configured.of(load_settings(file, AGENTS))
    assert (found.usual_pacing, found.pacing) == (pacing, {"claude@b": pacing})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_runing: 3\n", "FILE, line 1: no key 'max_runing'; did you mean 'max_running'?"),
        ("max_running: -1\n", "FILE, line 1: max_running: expected int >= 0"),
        ("max_running: 10001\n", "FILE, line 1: max_running: expected int <= 10000"),
        ("max_running: many\n", "FILE, line 1: max_running: expected int, got text"),
        ("grace: 601\n", "FILE, line 1: grace: expected float <= 600.0"),
        ("grace: .nan\n", "FILE, line 1: grace"),
        (
            "agents:\n  claude:\n    comand: [x]\n",
            "FILE, line 3: agents.claude: no key 'comand'; did you mean 'command'?",
        ),
        ("agents:\n  claude:\n    command: x\n", "FILE, line 3: agents.claude.command: expected a list, got text"),
        ("agents:\n  claude:\n", "FILE, line 2: agents.claude: expected a mapping, got nothing"),
        ("agents:\n  claude: {env: {PORT: 80}}\n", "FILE, line 2: agents.claude.env.PORT: expected text, got int"),
        (
            "agents:\n  claude: {providers: {x: {base_url: 'http://[*a'}}}\n",
            "FILE, line 2: agents.claude.providers.x.base_url: it is no address; write https://HOST/PATH",
        ),
        (
            "memory:\n  endpoint: {base_url: 'http://[*a]b/v1', model: x}\n",
            "FILE, line 2: memory.endpoint.base_url: it is no address; write https://HOST/v1",
        ),
        (
            "notify: {channels: {x: {kind: ntfy, topic: t, url: 'http://a:b/'}}}\n",
            "FILE, line 1: notify.channels.x.url: 'http://a:b/' is no address; write https://HOST/PATH",
        ),
        ("projects:\n  api: {}\n", "FILE, line 2: projects.api: 'path' is missing"),
        ("pacing: slow\n", "FILE, line 1: pacing: 'slow' is no pacing; write off, even or {reserve: 20%}"),
        ("pacing: on\n", "FILE, line 1: pacing: 'on' is no pacing; write off, even or {reserve: 20%}"),
        ("pacing: {reserve: 0%}\n", "FILE, line 1: pacing: '0%' is no share of a window; write 20%"),
        ("pacing: {reserve: 20%, even: true}\n", "FILE, line 1: pacing: say one way: even: true, or reserve: 20%"),
        ("pacing: {background: 6}\n", "FILE, line 1: pacing: say one way: even: true, or reserve: 20%"),
        ("pacing: {even: true, background: 10}\n", "FILE, line 1: pacing.background: expected int <= 9"),
        (
            "accounts:\n  work:\n    agent: claude\n    pacing: {reserve: half}\n",
            "FILE, line 4: accounts.work.pacing: 'half' is no share of a window; write 20%",
        ),
        (
            "projects:\n  api:\n    path: /x\n    workspace: tree\n",
            "FILE, line 4: projects.api.workspace: 'tree' is not valid",
        ),
        ("keys:\n  quit: 1\n", "FILE, line 2: keys.quit: expected text, got int"),
        ("agents:\n  clade: {}\n", "there is no agent 'clade'; did you mean 'claude'?"),
        ("default_agent: zzz\n", "there is no agent 'zzz'; there are claude, shell"),
        ("server:\n  listen: '7433'\n", "FILE, line 2: server.listen: write HOST:PORT"),
        ("server:\n  key: /x\n", "server.certificate: certificate and key belong together"),
        ("server:\n  certificate: x\n  key: /x\n", "FILE, line 2: server.certificate: it has to be an absolute path"),
        ("server:\n  body: 1G\n", "FILE, line 2: server.body: it has to be from 1K to 128M"),
        (b"theme: \xff\xfe\n", "FILE, line 1: byte 0xff is no UTF-8 text"),
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


def test_a_key_is_named_by_its_place_and_a_provider_by_its_address(file: Path) -> None:
    file.write_text(
        "agents:\n  llm:\n    schema: {type: object}\n    providers:\n"
        "      local: {speaks: chat, base_url: 'http://127.0.0.1:1/v1', key: {env: LOCAL}, idle: 90s}\n"
        "accounts:\n  work: {agent: claude, config_dir: ~/.claude-work, key: {command: [pass, show, work]}}\n"
    )
    found = read_settings(file)
    local = ProviderSettings(
        speaks=Api.CHAT, base_url="http://127.0.0.1:1/v1", key=KeyReference(env="LOCAL"), idle="90s"
    )
    assert found.agent("llm").providers == {"local": local}
    assert found.accounts["work"].key == KeyReference(command=["pass", "show", "work"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("accounts:\n  work: {agent: claude, key: {}}\n", "FILE, line 2: accounts.work.key: say where it is kept"),
        ("accounts:\n  work: {agent: claude, key: {env: A, file: /b}}\n", "FILE, line 2: accounts.work.key: say where"),
        ("accounts:\n  work: {agent: claude, key: {command: []}}\n", "FILE, line 2: accounts.work.key: say where"),
        ("accounts:\n  work: {agent: claude, key: {env: sk-ant-1}}\n", "the key itself does not belong here"),
        (
            "accounts:\n  work: {agent: claude, key: sk-ant-1}\n",
            "FILE, line 2: accounts.work.key: expected a mapping, got text",
        ),
        (
            "accounts:\n  work: {agent: claude, key: {file: keys/a}}\n",
            "accounts.work.key.file: it has to be an absolute",
        ),
        (
            "accounts:\n  work: {agent: claude, config_dir: here}\n",
            "accounts.work.config_dir: it has to be an absolute",
        ),
        ("agents:\n  llm: {providers: {a: {speaks: chatt}}}\n", "did you mean 'chat'?"),
        ("agents:\n  llm: {providers: {a: {idle: soon}}}\n", "agents.llm.providers.a.idle: 'soon' is no span"),
        ("agents:\n  llm: {providers: {a: {key: {}}}}\n", "agents.llm.providers.a.key: say where it is kept"),
        ("agents:\n  llm: {temperature: 3}\n", "agents.llm.temperature: expected float <= 2.0"),
    ],
)
def test_a_key_or_a_provider_that_cannot_be_is_refused_with_its_place(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(UsageError) as error:
        load_settings(file, agents())
    assert said in str(error.value).replace(str(file), "FILE")
    assert "sk-ant-1" not in str(error.value)


def test_what_only_llm_takes_is_refused_elsewhere() -> None:
    (complaint,) = complaints(Settings(agents={"shell": AgentSettings(system="x")}))
    assert complaint == (("agents", "shell", "system"), "only llm takes it; remove it")


def test_a_file_with_many_mistakes_is_told_all_of_them_by_line(file: Path) -> None:
    file.write_text(
        "max_running: -1\n"
        "default_agent: clude\n"
        "agents:\n"
        "  clade: {timeout: soon}\n"
        "  codex: {args: [--json], permission_mode: yolo, allowed_tools: [x], system: hello}\n"
        "accounts:\n"
        "  work: {agent: cluade, config_dir: here}\n"
        "  home: {agent: claude, key: {}}\n"
        "  home: {agent: codex}\n"
        "projects:\n"
        "  api: {workspace: tree}\n"
        "permissions:\n"
        "  rules:\n"
        "  - {tool: Bash, project: api}\n"
        "  - {tool: Bash, project: apis}\n"
    )
    with pytest.raises(UsageError) as error:
        read_settings(file)
    assert str(error.value).replace(f"{file}, line ", "").split("\n") == [
        "1: max_running: expected int >= 0",
        "2: default_agent: there is no agent 'clude'; did you mean 'claude'?",
        "4: agents.clade: there is no agent 'clade'; did you mean 'claude'?",
        "4: agents.clade.timeout: 'soon' is no span of time; write 90s, 15m, 2h or 1d",
        "5: agents.codex.system: only llm takes it; remove it",
        "5: agents.codex.permission_mode: 'yolo' is none of workspace-write, read-only",
        "5: agents.codex.allowed_tools: it means nothing to codex: its sandbox bounds all of its tools",
        "5: agents.codex.args: remove '--json': Headway reads its JSON",
        "7: accounts.work.agent: there is no agent 'cluade'; did you mean 'claude'?",
        "7: accounts.work.config_dir: it has to be an absolute path, or begin with ~",
        "8: accounts.home.key: say where it is kept, in one way: env: NAME, file: PATH or command: [PROGRAM, ...]",
        "9: accounts: 'home' stands here twice",
        "11: projects.api: 'path' is missing",
        "11: projects.api.workspace: 'tree' is not valid; did you mean 'worktree'?",
        "15: permissions.rules.project: there is no project 'apis'; did you mean 'api'?",
    ]


# Whatever the sections and their checks are, and whoever adds one


@given(shape_of(Settings))
@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_any_document_is_settings_or_told_with_lines_that_are_in_it(file: Path, data: dict[str, object]) -> None:
    text = written(data)
    file.write_text(text)
    try:
        read_settings(file)
    except DocumentError as error:
        assert error.mistakes
        assert all(one.line is not None and 1 <= one.line <= lines_in(text) for one in error.mistakes), str(error)
        assert all(one.what.partition(":")[0] for one in error.mistakes)
        assert error.mistakes == sorted(error.mistakes, key=lambda one: one.line or 0)
