"""How the engine and the nodes come into the same cluster: the token, the certificates, Ray's own commands."""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from engine.cluster.link import DriverLink
from engine.cluster.words import Link, Settled
from engine.config.cluster import ClusterSettings
from engine.errors import RefusedError

FOLDER = "cluster"  #: below the home
TOKEN, NAME = "token", "name"
TOKEN_BYTES = 32
EXTRA = "the cluster needs Ray: pip install 'headway[cluster]'"
#: Of the engine's environment, what its driver and a head that this starts are given: no keys.
_PASSED = ("HOME", "PATH", "LANG", "LC_ALL", "TMPDIR", "USER", "LOGNAME", "VIRTUAL_ENV", "PYTHONPATH", "XDG_STATE_HOME")
HEAD_STORE_BYTES = 200_000_000  #: a head holds what is on its way, and nothing of its own


def connect(home: Path, said: ClusterSettings) -> Link:
    """The line to the cluster that the settings name. Raises `RefusedError` where it cannot be had here."""
    require_ray()
    folder = home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    token = token_of(home, said)
    start = start_command(said) if said.start else []
    settled = Settled(address_of(said), name_of(folder), said.home, start)
    return DriverLink(settled, environment(said, token, os.environ), folder)


def require_ray() -> None:
    """Raise `RefusedError` where the extra is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise RefusedError(EXTRA)


def address_of(said: ClusterSettings) -> str:
    return said.address or f"{said.host}:{said.port}"


def token_of(home: Path, said: ClusterSettings) -> Path:
    """The file with what lets a machine in; made for a head that is started here. Raises `RefusedError`."""
    if said.token_file is not None:
        path = Path(said.token_file).expanduser()
        if not path.is_file():
            raise RefusedError(f"the cluster's token file {path} is not there")
        return path
    if not said.start:
        path = Path("~/.ray/auth_token").expanduser()
        if not path.is_file():
            raise RefusedError(f"name the cluster's token_file in headway.yaml, or put the token into {path}")
        return path
    path = home / FOLDER / TOKEN
    _made(path, secrets.token_hex(TOKEN_BYTES))
    return path


def name_of(folder: Path) -> str:
    """What sets this home's actors and files apart from those of others in the cluster."""
    return _made(folder / NAME, f"headway-{secrets.token_hex(4)}")


def _made(path: Path, text: str) -> str:
    """What a private file holds, written where it is not there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(fd, "w") as file:
        file.write(text)
    return text


def security(said: ClusterSettings, token: Path | str) -> dict[str, str]:
    """The variables by which Ray lets nobody in who has not the token, or not the certificates."""
    found = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_USAGE_STATS_ENABLED": "0"}
    if said.tls is not None:
        files = {"SERVER_CERT": said.tls.cert, "SERVER_KEY": said.tls.key, "CA_CERT": said.tls.ca}
        found |= {f"RAY_TLS_{name}": str(Path(path).expanduser()) for name, path in files.items()}
        found["RAY_USE_TLS"] = "1"
    return found


def environment(said: ClusterSettings, token: Path, own: Mapping[str, str]) -> dict[str, str]:
    return {name: own[name] for name in _PASSED if name in own} | security(said, token)


def _ray() -> str:
    return str(Path(sys.executable).with_name("ray"))


def start_command(said: ClusterSettings) -> list[str]:
    """Ray's own command for a head on this machine, on which nothing is run."""
    return [
        _ray(), "start", "--head", f"--node-ip-address={said.host}", f"--port={said.port}", "--num-cpus=0",
        "--include-dashboard=false", "--disable-usage-stats", f"--object-store-memory={HEAD_STORE_BYTES}",
    ]  # fmt: skip


def join_command(
    home: Path, said: ClusterSettings, name: str, resources: Mapping[str, float], labels: Mapping[str, str]
) -> str:
    """Ray's own command, for a shell on the machine that is to join, where this version of Headway is installed."""
    token = token_of(home, said)
    words = ["ray", "start", f"--address={address_of(said)}", f"--node-name={name or '$(hostname)'}"]
    if resources:
        words.append(f"--resources={json.dumps(dict(resources))}")
    if labels:
        words.append(f"--labels={','.join(f'{key}={value}' for key, value in labels.items())}")
    words.append("--disable-usage-stats")
    variables = security(said, token)
    quoted = [word if "$(" in word else shlex.quote(word) for word in words]
    return " ".join([*(f"{key}={shlex.quote(value)}" for key, value in variables.items()), *quoted])
