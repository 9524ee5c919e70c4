"""The token, the certificates, and Ray's own commands."""

from __future__ import annotations

import importlib.util
import shlex
import stat
from pathlib import Path

import pytest

from engine.cluster import connecting
from engine.config.cluster import ClusterSettings, TlsSettings
from engine.errors import RefusedError
from tests.conftest import Served

STARTED = ClusterSettings(start=True, host="127.0.0.1", port=7001)
ELSEWHERE = ClusterSettings(
    address="10.0.0.5:6379", token_file="~/t", tls=TlsSettings(cert="/c.pem", key="/k.pem", ca="/a.pem")
)


def test_a_token_is_made_once_and_for_nobody_else(tmp_path: Path) -> None:
    first = connecting.token_of(tmp_path, STARTED)
    held = first.read_text()
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert len(held) == 64
    assert connecting.token_of(tmp_path, STARTED).read_text() == held


def test_a_machine_joins_by_ray_s_own_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "t").write_text("f" * 64)
    words = shlex.split(connecting.join_command(tmp_path, ELSEWHERE, "rack 2", {"claude": 8.0}, {"region": "eu"}))
    assert words == [
        "RAY_AUTH_MODE=token",
        f"RAY_AUTH_TOKEN_PATH={tmp_path / 't'}",
        "RAY_USAGE_STATS_ENABLED=0",
        "RAY_TLS_SERVER_CERT=/c.pem",
        "RAY_TLS_SERVER_KEY=/k.pem",
        "RAY_TLS_CA_CERT=/a.pem",
        "RAY_USE_TLS=1",
        "ray",
        "start",
        "--address=10.0.0.5:6379",
        "--node-name=rack 2",
        '--resources={"claude": 8.0}',
        "--labels=region=eu",
        "--disable-usage-stats",
    ]
    plain = connecting.join_command(tmp_path, STARTED, "", {}, {})
    assert plain.endswith("ray start --address=127.0.0.1:7001 --node-name=$(hostname) --disable-usage-stats")


def test_the_driver_is_given_no_keys(tmp_path: Path) -> None:
    own = {"HOME": "/h", "PATH": "/bin", "ANTHROPIC_API_KEY": "sk", "RAY_AUTH_MODE": "disabled"}
    given = connecting.environment(STARTED, tmp_path / "token", own)
    assert given["RAY_AUTH_MODE"] == "token", "whatever the engine was started with"
    assert "ANTHROPIC_API_KEY" not in given
    assert (given["HOME"], given["PATH"]) == ("/h", "/bin")


def test_a_head_here_takes_nothing_and_shows_nothing() -> None:
    command = connecting.start_command(STARTED)
    assert {"--head", "--num-cpus=0", "--include-dashboard=false", "--node-ip-address=127.0.0.1"} <= set(command)


@pytest.mark.parametrize("said", [ELSEWHERE, ClusterSettings(address="h:1")])
def test_a_missing_token_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: ClusterSettings) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(RefusedError, match="token"):
        connecting.token_of(tmp_path, said)


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RefusedError, match=r"headway\[cluster\]"):
        connecting.connect(tmp_path, STARTED)


def test_without_a_cluster_the_commands_say_so(served: Served) -> None:
    served.start()
    listed = served.headway("nodes")
    assert (listed.returncode, listed.stdout) == (0, "")
    assert "headway.yaml names no cluster" in listed.stderr
    for command in (("node", "drain", "a"), ("cluster", "join-command", "--resource", "claude=8")):
        refused = served.headway(*command)
        assert (refused.returncode, refused.stdout) == (5, ""), refused.stderr
        assert "headway.yaml names no cluster" in refused.stderr
    assert served.headway("cluster", "join-command", "--resource", "claude").returncode == 2
    assert served.headway("cap", "node:a", "3").returncode == 2
