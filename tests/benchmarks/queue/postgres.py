"""A PostgreSQL server of our own: a cluster in a temporary directory, reached by a UNIX socket, ended by its pid."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

START_SECONDS = 30.0  #: for the server to answer
STOP_SECONDS = 20.0  #: for a fast shutdown, before it is killed
INSTALL_SECONDS = 240.0  #: for apt-get, over a slow line

#: Debian's defaults but for these: no network, room for the pools of every size, no second log.
_OPTIONS = ("listen_addresses=", "max_connections=200", "unix_socket_permissions=0777", "logging_collector=off")


class UnavailableError(Exception):
    """There is no PostgreSQL here; the message says why, for the table."""


def programs(*, install: bool) -> Path:
    """The directory of `initdb` and `postgres`. With `install`, from Debian where there is none and we are root."""
    if (found := _installed()) is not None:
        return found
    if not install:
        raise UnavailableError("not installed")
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise UnavailableError("not installed, and only root can install it with apt-get")
    print("installing PostgreSQL with apt-get", flush=True)
    # RUNLEVEL=1: Debian then starts no server of its own.
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", "postgresql"]):
        try:
            done = subprocess.run(
                ["apt-get", "--quiet", *command], env=quiet, capture_output=True, text=True, timeout=INSTALL_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise UnavailableError(f"apt-get {command[0]} took longer than {INSTALL_SECONDS:.0f} s") from None
        if done.returncode != 0:
            last = (done.stderr.strip() or "it failed").splitlines()[-1]
            raise UnavailableError(f"apt-get {command[0]}: {last}")
    if (found := _installed()) is None:
        raise UnavailableError("apt-get installed it, and it is still not found")
    return found


def _installed() -> Path | None:
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if (onpath := shutil.which("initdb")) is not None:
        candidates.append(Path(onpath).resolve().parent)
    return next((one for one in candidates if (one / "initdb").exists() and (one / "postgres").exists()), None)


class Postgres:
    """A running server. `user` is who it runs as: PostgreSQL refuses to be root."""

    def __init__(self, bin_directory: Path, parent: Path) -> None:
        self._as = _unprivileged()
        self.directory = Path(tempfile.mkdtemp(prefix="pg-", dir=parent))
        if self._as is not None:
            os.chown(self.directory, self._as.pw_uid, self._as.pw_gid)
        try:
            self._server = self._start(bin_directory)
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise

    def _start(self, bin_directory: Path) -> subprocess.Popen[bytes]:
        data = str(self.directory / "data")
        made = subprocess.run(
            [str(bin_directory / "initdb"), "-D", data, "-A", "trust", "-U", "bench", "-E", "UTF8", "--locale=C"],
            capture_output=True,
            text=True,
            timeout=120,
            **self._who(),
        )
        if made.returncode != 0:
            raise UnavailableError(f"initdb: {(made.stderr.strip() or 'it failed').splitlines()[-1]}")
        command = [str(bin_directory / "postgres"), "-D", data, "-k", str(self.directory)]
        for option in _OPTIONS:
            command += ["-c", option]
        with (self.directory / "log").open("ab") as said:
            server: subprocess.Popen[bytes] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True, **self._who()
            )
        try:
            self._until_it_answers(server)
        except BaseException:
            _end(server)
            raise
        return server

    def _who(self) -> dict[str, Any]:
        """How `subprocess` runs a program as the unprivileged user, in a directory that it can read."""
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": str(self.directory)}
        who: dict[str, Any] = {"cwd": self.directory, "env": environment}
        if self._as is not None:
            who |= {"user": self._as.pw_uid, "group": self._as.pw_gid, "extra_groups": []}
        return who

    def _until_it_answers(self, server: subprocess.Popen[bytes]) -> None:
        import psycopg

        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and server.poll() is None:
            try:
                psycopg.connect(self.address("postgres")).close()
            except psycopg.OperationalError:
                time.sleep(0.1)
            else:
                return
        log = (self.directory / "log").read_text(errors="replace").strip().splitlines()
        raise UnavailableError(f"the server did not start: {log[-1] if log else 'it said nothing'}")

    def address(self, database: str) -> str:
        """What a client connects to."""
        return f"host={self.directory} user=bench dbname={database}"

    def create(self, database: str) -> str:
        """Make an empty database; its address."""
        import psycopg

        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)'.encode())
            connection.execute(f'CREATE DATABASE "{database}"'.encode())
        return self.address(database)

    def stop(self) -> None:
        _end(self._server)
        shutil.rmtree(self.directory, ignore_errors=True)


def _end(server: subprocess.Popen[bytes]) -> None:
    """A fast shutdown, by pid; a kill where that takes too long."""
    if server.poll() is not None:
        return
    server.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(STOP_SECONDS)
        return
    server.kill()
    server.wait()


def _unprivileged() -> pwd.struct_passwd | None:
    """Whom a server runs as that may not be root; None where we are not root ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise UnavailableError("there is no unprivileged user to run it as")
