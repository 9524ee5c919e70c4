"""A stand-in for ssh: it takes the options of the real one, and runs the command on this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

#: Runs what stands after the host, as sshd does; leaves its number in a file, so that a test can cut the line.
_STAND_IN = """\
#!/bin/sh
while [ "$1" != "--" ]; do shift; done
echo "$2" >> {calls}
if [ -e {refused} ]; then echo "ssh: connect to host $2 port 22: Connection refused" >&2; exit 255; fi
echo $$ > {pid}
{noise}exec sh -c "exec $3"
"""


class StandIn:
    """What the stand-in was called for, and the ways in which it fails."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "ssh"
        self._calls, self._refused, self._pid = (directory / name for name in ("calls", "refused", "pid"))
        self.write()

    def write(self, noise: str = "") -> None:
        text = _STAND_IN.format(calls=self._calls, refused=self._refused, pid=self._pid, noise=noise)
        self.path.write_text(text)
        self.path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self._calls.read_text().split() if self._calls.exists() else []

    @property
    def pid(self) -> int:
        return int(self._pid.read_text())

    def refuse(self, refuses: bool) -> None:
        if refuses:
            self._refused.touch()
        else:
            self._refused.unlink()


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """In the place of ssh, for this process and those that it starts."""
    stand_in = StandIn(tmp_path)
    monkeypatch.setenv("HEADWAY_SSH", str(stand_in.path))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    return stand_in
