"""The line to an engine elsewhere over a real sshd on loopback. Without sshd it says loudly that it did not run.

As root it installs openssh-server from Debian where it is missing.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from console.launch import start_engine
from engine.errors import NoEngineError
from engine.model import JobSpec
from engine.remote import line as lines
from engine.remote.line import far_client
from engine.remote.place import Place, read_place
from tests.conftest import PATIENCE

_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {place}/host
AuthorizedKeysFile {place}/key.pub
PidFile {place}/sshd.pid
StrictModes no
UsePAM no
PasswordAuthentication no
SetEnv PATH={path}
"""


def sshd_of_debian() -> str:
    there = "/usr/sbin/sshd"
    if not Path(there).exists() and os.geteuid() == 0 and shutil.which("apt-get"):
        command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "openssh-server"]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    if not Path(there).exists() or shutil.which("ssh") is None:
        pytest.skip("NOT RUN: there is no sshd here (Debian: openssh-server), so the line over ssh was not shown")
    return there


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A home with an engine, behind an sshd that takes one key."""
    sshd = sshd_of_debian()
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    (tmp_path / "sshd_config").write_text(_CONFIG.format(port=port, place=tmp_path, path=path))
    Path("/run/sshd").mkdir(exist_ok=True) if os.geteuid() == 0 else None
    server = subprocess.Popen([sshd, "-D", "-e", "-f", tmp_path / "sshd_config"], stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None and "listening" in server.stderr.readline()
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {(tmp_path / 'host.pub').read_text()}")
    monkeypatch.setenv("HEADWAY_SSH", f"ssh -F none -i {tmp_path / 'key'} -o UserKnownHostsFile={known}")
    engine = start_engine(tmp_path / "home")
    yield replace(read_place(f"ssh://127.0.0.1:{port}"), home=str(tmp_path / "home"))
    server.terminate()
    server.wait()
    server.stderr.close()
    engine.terminate()
    engine.wait(PATIENCE)


async def test_an_engine_is_reached_by_a_real_ssh_and_again_after_its_line_was_cut(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_PAUSES", (0.0,))
    async with far_client(place) as far:
        seq = (await far.status()).seq
        (job,) = await far.submit([JobSpec(prompt="seq 20000", agent="shell")])
        async with aclosing(far.log(job, follow=True)) as told:
            assert len([line async for line in told]) == 20_000
        ours = [one for one in psutil.Process().children() if one.name() == "ssh"]
        assert len(ours) == 1
        with pytest.raises(NoEngineError):
            async with aclosing(far.follow()) as happenings:
                os.kill(ours[0].pid, signal.SIGKILL)
                await anext(happenings)
        async with aclosing(far.follow(seq)) as happenings:
            assert (await anext(happenings)).job == job  # type: ignore[union-attr]


async def test_a_key_that_is_not_taken_is_said(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    own = os.environ["HEADWAY_SSH"].replace(f"{tmp_path / 'key'} ", f"{tmp_path / 'other'} -o IdentitiesOnly=yes ")
    monkeypatch.setenv("HEADWAY_SSH", own)
    wrong = replace(read_place(f"ssh://127.0.0.1:{place.port}"), home=place.home)
    with pytest.raises(NoEngineError, match=r"Permission denied.*log in to it with ssh once"):
        async with far_client(wrong):
            pass
