"""The engine as a service: its unit, its probes and figures, its log, and what the signals mean."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from console.service import Unit, home_of, quoted, whose
from engine import logs
from engine.errors import UsageError
from engine.server import notify
from engine.server.client import Client
from tests.conftest import PATIENCE, Served, settings_file


class Systemd:
    """Listens where systemd would."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.bind(str(path))
        self._line.settimeout(PATIENCE)

    def until(self, word: str) -> list[str]:
        """What was said, up to the first that has this word."""
        said: list[str] = []
        while not said or word not in said[-1]:
            said.append(self._line.recv(4096).decode())
        return said

    def close(self) -> None:
        self._line.close()


def _unit(**options: object) -> Unit:
    return Unit(Path("/srv/head way"), Path("/opt/headway/bin/headway"), **options)  # type: ignore[arg-type]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here to hold the unit against")
def test_systemd_takes_the_unit_as_it_is(tmp_path: Path) -> None:
    unit = Unit(Path("/srv/head way"), Path("/bin/true"), system=True, user="daemon", drain=20, path="/bin:/100%/$x")
    file = tmp_path / "headway.service"
    file.write_text(unit.text())
    done = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=40", str(file)], capture_output=True, text=True
    )
    assert rated.returncode == 0, rated.stdout[-400:]


def test_a_unit_ends_the_engine_alone_and_waits_as_long_as_it_may() -> None:
    plain, draining = _unit().text(), _unit(drain=90).text()
    assert "KillMode=process" in plain and "Delegate=yes" in plain and "WantedBy=default.target" in plain
    assert 'ExecStart=/opt/headway/bin/headway --home "/srv/head way" serve --log json\n' in plain
    assert "TimeoutStopSec=30" in plain and "TimeoutStopSec=120" in draining and "--drain 90" in draining
    assert "User=" not in plain
    assert "User=ops" in _unit(system=True, user="ops").text()


def test_the_unit_leaves_agents_their_sandboxes() -> None:
    """With each of these bubblewrap was seen to refuse; a root who asks for them goes without sandboxes."""
    refusing = {
        "ProtectKernelTunables",
        "ProtectKernelLogs",
        "ProtectHostname",
        "RestrictSUIDSGID",
        "RestrictNamespaces",
    }
    said = {line.partition("=")[0] for line in _unit(system=True, user="ops").text().splitlines()}
    assert not said & refusing and {"NoNewPrivileges", "CapabilityBoundingSet", "PrivateDevices", "ProtectProc"} <= said
    assert "ProtectKernelTunables=yes" in _unit(system=True, user="root").text()


def test_words_mean_to_systemd_what_they_say() -> None:
    assert quoted(["a", "50%", "$x", 'say "it"', ""]) == 'a 50%% $$x "say \\"it\\"" ""'


def test_root_is_nobodys_default() -> None:
    assert whose("", {"SUDO_USER": "ada"}) == "ada"
    assert whose("root", {}) == "root"
    if os.geteuid() == 0:
        with pytest.raises(UsageError, match="--user NAME"):
            whose("", {})
    with pytest.raises(UsageError, match="no user 'nobody-here'"):
        home_of("nobody-here")


def test_install_shows_what_it_would_do_and_does_nothing(tmp_path: Path) -> None:
    done = Served(tmp_path / "home").headway("service", "install", "--dry-run")
    assert done.returncode == 0 and "$ loginctl enable-linger" in done.stdout
    assert f"--home {tmp_path / 'home'} serve" in done.stdout
    assert not (tmp_path / "home").exists()
    wrong = Served(tmp_path / "home").headway("service", "install", "--user", "ada")
    assert wrong.returncode == 2 and "--system" in wrong.stderr


async def test_probes_and_figures(served: Served) -> None:
    assert served.headway("service", "health").returncode == 3
    served.start()
    assert served.headway("service", "health").stdout == "ready\n"
    served.headway("submit", "--agent", "shell", "false")
    await served.until_ended([1])
    figures = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(served.headway("metrics").stdout)
        for sample in family.samples
    }
    assert figures["headway_jobs", "failed"] == 1
    assert figures["headway_jobs", "running"] == 0
    assert figures["headway_events_total", "submitted"] == 1
    assert figures["headway_attempts_ended_total", "unknown"] == 1
    assert figures["headway_slots",] >= 1
    assert figures["headway_loop_lag_seconds", "0.99"] >= 0
    served.headway("submit", "--agent", "shell", "sleep 60")
    served.headway("drain")
    refused = served.headway("service", "health")
    assert (refused.returncode, refused.stdout) == (1, "not ready: it drains\n")
    served.headway("undo")


async def test_a_reload_takes_right_settings_and_leaves_wrong_ones(served: Served, tmp_path: Path) -> None:
    systemd = Systemd(tmp_path / "notify")
    settings_file(served.home, "max_running: 3\n")
    served.env = {"NOTIFY_SOCKET": str(systemd.path)}
    pid = served.start()
    try:
        assert systemd.until("READY=1")[0].startswith("READY=1\nSTATUS=serves ")
        up, go = tmp_path / "up", tmp_path / "go"
        os.mkfifo(up)
        os.mkfifo(go)
        served.headway("submit", "--agent", "shell", "--scratch", f"echo up >{up}; read x <{go}")
        assert await asyncio.to_thread(up.read_text) == "up\n"
        settings_file(served.home, "max_runing: 4\n")
        os.kill(pid, signal.SIGHUP)
        assert "did you mean 'max_running'?" in systemd.until("stay as they were")[-1]
        # As the unit does it, with nothing in its environment.
        unit = Unit(served.home, Path(sys.executable).with_name("headway")).text()
        (line,) = (line for line in unit.splitlines() if line.startswith("ExecReload="))
        reload = shlex.split(line.removeprefix("ExecReload="))
        done = await asyncio.to_thread(subprocess.run, reload, env={}, capture_output=True, text=True)
        assert done.returncode == 2 and "did you mean 'max_running'?" in done.stderr, done
        assert "stay as they were" in systemd.until("stay as they were")[-1]
        settings_file(served.home, "max_running: 5\n")
        done = await asyncio.to_thread(subprocess.run, reload, env={}, capture_output=True, text=True)
        assert done.returncode == 0, done
        said = systemd.until("READY=1")
        assert said[0].startswith("RELOADING=1\nMONOTONIC_USEC=") and "STOPPING=1" not in said
        async with Client(served.home) as client:
            status = await client.status()
            assert (status.pid, status.slots, status.counts.running) == (pid, 5, 1), "adopted, in the same process"
    finally:
        systemd.close()


async def test_a_drain_gives_what_runs_its_time_and_a_second_signal_ends_it(home: Path, tmp_path: Path) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    log = tmp_path / "engine.log"
    ready, told = os.pipe()
    command = ["-m", "console.cli", "--home", str(home), "serve", "--drain", "600", "--ready-fd", str(told)]
    more = ["--log", "json", "--log-file", str(log)]
    process = subprocess.Popen([sys.executable, *command, *more], pass_fds=(told,))  # noqa: ASYNC220
    os.close(told)
    assert os.read(ready, 6) == b"ready\n"
    os.close(ready)
    served = Served(home)
    served.headway("submit", "--agent", "shell", f"echo up >{go}; read x <{go}")
    assert await asyncio.to_thread(go.read_text) == "up\n"
    process.terminate()
    while served.headway("service", "health").returncode != 1:
        pass
    # To start anew would end the drain, and the engine would never stop.
    assert served.headway("reload").returncode == 5
    process.send_signal(signal.SIGHUP)
    while sum("it does not start anew" in line for line in log.read_text().splitlines()) < 2:
        await asyncio.sleep(0.05)
    assert served.headway("service", "health").stdout == "not ready: it drains\n"
    assert process.poll() is None, "one job runs"
    process.terminate()
    assert await asyncio.to_thread(process.wait, PATIENCE) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert any(line["message"].startswith("drains for at most 600") for line in lines)
    assert log.stat().st_mode & 0o777 == 0o600
    again = Served(home)
    again.start()
    again.headway("cancel", "1")
    again.stop()


def test_a_line_tells_what_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.LogRecord("engine.runner", logging.WARNING, "", 0, "it %s", ("stalled",), None)
    token = logs.about.set(logs.About(12, 2))
    try:
        told = json.loads(logs.Json().format(record))
        assert "J12.2 it stalled" in logs.Text().format(record)
    finally:
        logs.about.reset(token)
    assert {key: told[key] for key in ("level", "room", "message", "job", "attempt")} == {
        "level": "warning", "room": "engine.runner", "message": "it stalled", "job": 12, "attempt": 2,
    }  # fmt: skip
    assert "job" not in json.loads(logs.Json().format(record))


def test_a_full_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FILE_BYTES", 10)
    file = tmp_path / "engine.log"
    for number in range(8):
        file.write_text(f"{number}" * 12)
        logs.make_room(file)
    assert not file.exists()
    assert [(tmp_path / f"engine.log.{n}").read_text()[0] for n in (1, 2, 3, 4, 5)] == ["7", "6", "5", "4", "3"]
    assert not (tmp_path / "engine.log.6").exists()
    file.write_text("short")
    logs.make_room(file)
    assert file.read_text() == "short"


def test_nobody_is_told_where_nobody_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify.notify(notify.READY)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert not notify.notify(notify.READY)
