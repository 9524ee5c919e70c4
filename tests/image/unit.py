"""The unit of the machine under a real systemd, in a container of its own: `make unit-check`, after `make image-check`.

A clean Debian with systemd, bubblewrap and what the image holds is booted by systemd-nspawn. In it `headway service
install --system` is run as an operator would; an agent works in a sandbox, the engine is restarted under another agent
and reloaded, and the unit is stopped. Needs root and systemd-nspawn.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.image.check import PLACE, say
from tests.image.dockerfile import Setup
from tests.image.root import PATH, Root

PACKAGES = ("systemd", "systemd-sysv", "dbus", "bubblewrap", "git")
SECONDS = 300
#: What is done in it, and said on standard output. `as` is the operator.
SCRIPT = """\
exec >/said 2>&1
export PATH=/opt/headway/bin:$PATH
as() { setpriv --reuid ops --regid ops --init-groups env HOME=/home/ops headway --home /srv/headway "$@"; }
useradd --create-home ops
install --directory --owner ops --mode 0700 /srv/headway
printf 'projects: {}\\nagents: {shell: {sandbox: true}}\\n' >/srv/headway/headway.yaml
chown ops /srv/headway/headway.yaml
echo "# headway service install --system --user ops"
headway --home /srv/headway service install --system --user ops
systemctl show headway --property=ActiveState --property=Type --property=StatusText
as submit --agent shell 'echo sandboxed as $(id -un); touch /usr/x; true' \\
    >/dev/null
as submit --agent shell 'sleep 8; echo lived on' >/dev/null
until as jobs state:succeeded | grep -q sandboxed; do sleep 0.2; done
as logs 1
before=$(systemctl show headway --property=MainPID --value)
systemctl restart headway
after=$(systemctl show headway --property=MainPID --value)
[ "$before" != "$after" ] && echo "restarted"
until as jobs state:succeeded | grep -q lived; do sleep 0.2; done
as logs 2
as jobs --json | grep -o '"attempts": *[0-9]*' | sort | uniq -c | sed 's/^ */jobs with /'
systemctl reload headway && echo "reloaded"
until [ "$(systemctl is-active headway)" = active ]; do sleep 0.2; done
echo "is $(systemctl is-active headway) again"
systemd-analyze security headway --no-pager | tail -1
systemctl stop headway; echo "is $(systemctl is-active headway)"
"""
UNIT = f"""\
[Unit]
After=basic.target
[Service]
Type=oneshot
TimeoutStartSec={SECONDS}
ExecStart=/bin/bash /script
ExecStopPost=/bin/systemctl poweroff --force
[Install]
WantedBy=default.target
"""


def main() -> None:
    built = PLACE / "build/opt/headway"
    if os.geteuid() != 0 or shutil.which("systemd-nspawn") is None:
        sys.exit("NOT RUN: it takes root and systemd-nspawn (Debian: systemd-container)")
    if not built.exists():
        sys.exit("NOT RUN: `make image-check` comes first, and builds what is installed here")
    root = _root(built)
    said = _boot(root)
    say(said.rstrip())
    for line in ("sandboxed as ops", "restarted", "lived on", "reloaded", "is active again", "is inactive"):
        assert line in said, f"it did not say: {line}"
    assert "Read-only file system" in said, "the sandbox holds"
    say("the unit is well")


def _root(built: Path) -> Root:
    kept = PLACE / "systemd-base"
    if not kept.exists():
        made = Root(PLACE / "systemd-new", PLACE / "base")
        install = f"apt-get update && apt-get install --yes --no-install-recommends {' '.join(PACKAGES)}"
        made.run(install, Setup(env={"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive"}))
        made.path.rename(kept)
    root = Root(PLACE / "systemd", kept)
    shutil.copytree(built, root.folder("/opt/headway"), symlinks=True)
    root.folder("/script").write_text(SCRIPT)
    unit = root.folder("/etc/systemd/system/script.service")
    unit.write_text(UNIT)
    wanted = unit.parent / "default.target.wants"
    wanted.mkdir(exist_ok=True)
    (wanted / unit.name).symlink_to(f"/etc/systemd/system/{unit.name}")
    return root


def _boot(root: Root) -> str:
    """What the script said, once the container has switched itself off."""
    command = ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--console=pipe"]
    # Its own filter of system calls and its read-only /proc/sys are not what is looked at here.
    free = {"SYSTEMD_SECCOMP": "0", "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "yes", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    with root.log.open("wb") as log:
        subprocess.run(
            [*command, "--directory", str(root.path)],
            check=False, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=SECONDS, env={**os.environ, **free},
        )  # fmt: skip
    said = root.folder("/said")
    return said.read_text() if said.exists() else root.log.read_text(errors="replace")[-3000:]


if __name__ == "__main__":
    main()
