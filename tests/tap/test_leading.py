"""Which accounts may have a tap, how each agent is led to it, and where the tap listens."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.agents import tapping
from engine.agents.base import Launch
from engine.agents.registry import read_settings
from engine.config import AccountSettings, KeyReference, TapSettings
from engine.errors import UsageError
from engine.runner.credentials import Held
from engine.tap.door import Whose
from engine.tap.leading import lead
from engine.tap.tap import Tap
from tests.tap.provider import KEY, Asked, provider, read_answer

WHOSE = Whose(1, 7, "work", "marker")
URL = "http://127.0.0.1:20000/token"


@pytest.mark.parametrize(
    ("account", "said"),
    [
        ("{agent: claude, key: {env: K}, tap: true}", None),
        ("{agent: codex, key: {env: K}, tap: {upstream: 'https://x.test/v1'}}", None),
        ("{agent: codex, key: {env: K}, tap: {upstream: 'http://localhost:8000/v1'}}", None),
        ("{agent: claude, config_dir: /x, tap: true}", "accounts.a.tap: the tap is for accounts with an API key"),
        ("{agent: claude, tap: false}", None),
        (
            "{agent: claude, key: {env: K, variable: CLAUDE_CODE_OAUTH_TOKEN}, tap: true}",
            "holds a login and no API key",
        ),
        ("{agent: codex, key: {env: K, variable: CODEX_ACCESS_TOKEN}, tap: true}", "holds a login and no API key"),
        ("{agent: llm, provider: openai, key: {env: K}, tap: true}", "llm reads its provider's limits itself"),
        ("{agent: shell, key: {env: K, variable: V}, tap: true}", "shell cannot be tapped; that is for claude, codex"),
        ("{agent: claude, key: {env: K}, tap: yes please}", "accounts.a.tap: expected"),
        ("{agent: claude, key: {env: K}, tap: {upstream: x}}", "accounts.a.tap.upstream: it is no address"),
        ("{agent: claude, key: {env: K}, tap: {upstream: 'http://x.test'}}", "would send the key over the network"),
        ("{agent: claude, key: {env: K}, tap: {upstream: 'https://a@x.test'}}", "without a name"),
        ("{agent: claude, key: {env: K}, tap: {upstream: 'https://x.test:99999'}}", "it is no address"),
        ("{agent: claude, key: {env: K}, tap: {upstrem: 'https://x.test'}}", "did you mean 'upstream'?"),
    ],
)
def test_who_may_have_a_tap(tmp_path: Path, account: str, said: str | None) -> None:
    file = tmp_path / "headway.yaml"
    file.write_text(f"accounts:\n  a: {account}\n")
    if said is None:
        assert read_settings(file).accounts["a"]
        return
    with pytest.raises(UsageError) as error:
        read_settings(file)
    assert f"{file}, line 2: " in str(error.value)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def account(agent: str, upstream: str | None = None) -> AccountSettings:
    return AccountSettings(agent=agent, key=KeyReference(env="K"), tap=TapSettings(upstream=upstream))


@pytest.mark.parametrize(
    ("agent", "model", "env", "there"),
    [
        ("claude", None, {}, "https://api.anthropic.com"),
        ("claude", None, {"ANTHROPIC_BASE_URL": "https://x.test"}, "https://x.test"),
        ("codex", "gpt", {}, "https://api.openai.com/v1"),
        ("codex", "gpt", {"OPENAI_BASE_URL": "https://x.test/v1"}, "https://x.test/v1"),
        ("gemini", None, {}, "https://generativelanguage.googleapis.com"),
        ("opencode", "anthropic/claude-x", {}, "https://api.anthropic.com/v1"),
        ("opencode", None, {"OPENCODE_CONFIG_CONTENT": '{"model":"openai/x"}'}, "https://api.openai.com/v1"),
        (
            "opencode",
            "mine/x",
            {"OPENCODE_CONFIG_CONTENT": '{"provider":{"mine":{"options":{"baseURL":"https://x.test"}}}}'},
            "https://x.test",
        ),
    ],
)
def test_the_provider_is_where_it_would_be_without(
    agent: str, model: str | None, env: dict[str, str], there: str
) -> None:
    assert tapping.upstream(agent, account(agent), model, env) == there
    assert tapping.upstream(agent, account(agent, "https://y.test"), model, env) == "https://y.test"


@pytest.mark.parametrize(
    ("model", "content"),
    [("mine/x", ""), (None, "{}"), ("x", "{}"), ("a/b", "[]"), ("a/b", '{"provider":1}'), ("a/b", "{")],
)
def test_an_opencode_whose_provider_is_not_known_is_not_led_anywhere(model: str | None, content: str) -> None:
    with pytest.raises(UsageError, match="opencode: "):
        tapping.upstream("opencode", account("opencode"), model, {"OPENCODE_CONFIG_CONTENT": content})


def test_each_agent_is_told_in_its_own_way_and_keeps_what_it_was_told_before() -> None:
    env = {"NO_PROXY": "a.test", "OPENCODE_CONFIG_CONTENT": '{"theme":"x","provider":{"p":{"options":{"a":1}}}}'}
    plain = Launch(argv=["codex", "exec", "--oss", "--json", "-s", "read-only", "-"])
    direct = {"NO_PROXY": "a.test,127.0.0.1", "no_proxy": "127.0.0.1"}
    launch, more = tapping.led("codex", plain, None, env, URL)
    assert launch.argv == ["codex", "exec", "--oss", "-c", f'openai_base_url="{URL}"', *plain.argv[3:]]
    assert more == direct
    patient = {**direct, "ANTHROPIC_BASE_URL": URL, "CLAUDE_CODE_MAX_RETRIES": "10"}
    own = replace(plain, env={"CLAUDE_CODE_MAX_RETRIES": "2"})
    assert tapping.led("claude", own, None, {**env, **own.env}, URL)[1] == patient
    said = {**env, "CLAUDE_CODE_MAX_RETRIES": "0"}
    assert "CLAUDE_CODE_MAX_RETRIES" not in tapping.led("claude", own, None, said, URL)[1], "the settings' word stays"
    assert tapping.led("gemini", plain, None, env, URL)[1]["GOOGLE_GEMINI_BASE_URL"] == URL
    _, more = tapping.led("opencode", plain, "p/m", env, URL)
    assert json.loads(more["OPENCODE_CONFIG_CONTENT"]) == {
        "theme": "x",
        "provider": {"p": {"options": {"a": 1, "baseURL": URL}}},
    }


@pytest.fixture
async def tap(home: Path) -> AsyncIterator[Tap]:
    home.mkdir()
    one = Tap(home)
    one.ready()
    yield one
    one.stop()


async def test_the_agent_is_given_a_stand_in_and_the_tap_the_key(tap: Tap) -> None:
    held = Held({"CODEX_HOME": "/x", "CODEX_API_KEY": KEY}, frozenset({"OPENAI_API_KEY"}), frozenset({KEY}))
    plain = Launch(argv=["codex", "exec", "--json"])
    led = lead(tap, WHOSE, plain, held, account("codex"), None, {})
    door = tap.door(7)
    assert door is not None and door.key == KEY.encode()
    assert led.held.env["CODEX_API_KEY"] == door.stand_in.decode() != KEY
    assert led.held.env["CODEX_HOME"] == "/x"
    assert led.held.secrets == {KEY, door.stand_in.decode()}, "neither is told"
    assert KEY not in json.dumps([list(led.launch.argv), dict(led.held.env)])
    assert led.upstream == "https://api.openai.com/v1"
    assert tap.url(door).startswith("http://127.0.0.1:")


async def test_a_door_that_is_shut_is_nothing(tap: Tap) -> None:
    async def answer(asked: Asked) -> None:
        asked.answer(b"ok")

    async with provider(answer) as there:
        door = tap.open(WHOSE, there.url, KEY)
        port = int(tap.url(door).split(":")[2].split("/")[0])
        for shut, status in ((False, b"200"), (True, b"404")):
            if shut:
                tap.close(7)
            reader, writer = await _knock(port, door.token)
            assert (await read_answer(reader))[0].split()[1] == status
            writer.close()


async def test_the_next_engine_listens_where_the_last_one_did_and_knows_the_same_names(home: Path) -> None:
    home.mkdir()
    first, second = Tap(home), Tap(home)
    first.ready()
    before = first.open(WHOSE, "https://x.test", KEY)
    url = first.url(before)
    first.stop()
    after = second.open(WHOSE, "https://x.test", None)
    assert (second.url(after), after.stand_in) == (url, before.stand_in)
    assert second.open(Whose(1, 8, "work", "another"), "https://x.test", None).token != before.token
    second.ready()
    second.stop()


async def test_who_calls_before_all_doors_are_open_again_waits_for_them(home: Path) -> None:
    home.mkdir()

    async def answer(asked: Asked) -> None:
        asked.answer(b"ok")

    async with provider(answer) as there:
        tap = Tap(home)
        first = tap.open(WHOSE, there.url, KEY)
        port = int(tap.url(first).split(":")[2].split("/")[0])
        other = Whose(2, 8, "work", "other")
        token = Tap(home).open(other, there.url, KEY).token
        reader, writer = await _knock(port, token)
        tap.open(other, there.url, KEY)
        tap.ready()
        assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 200 ")
        writer.close()
        tap.stop()


async def test_a_port_that_somebody_took_meanwhile_is_listened_on_once_it_is_free(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir()
    monkeypatch.setattr("engine.tap.tap.AGAIN_SECONDS", 0.01)
    first = Tap(home)
    port = int(first.url(first.open(WHOSE, "http://127.0.0.1:1", KEY)).split(":")[2].split("/")[0])
    first.stop()
    taken = socket.create_server(("127.0.0.1", port))
    tap = Tap(home)
    door = tap.open(WHOSE, "http://127.0.0.1:1", KEY)
    tap.ready()
    assert tap.url(door).startswith(f"http://127.0.0.1:{port}/")
    taken.close()
    while True:
        try:
            reader, writer = await _knock(port, door.token)
            break
        except ConnectionRefusedError:
            pass
    assert (await read_answer(reader))[0].startswith(b"HTTP/1.1 502 ")
    writer.close()
    tap.stop()


async def _knock(port: int, token: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /{token}/x HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return reader, writer
