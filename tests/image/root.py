"""A root of an image: a clean Debian with Python, and a way to run things in it as a container would. Needs root."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.image.dockerfile import Copy, Setup

#: What stands for `python:3.13-slim`, which is Debian 13 with a Python 3.13 called `python`.
SUITE, PACKAGES = "trixie", ("python3", "python3-venv", "ca-certificates")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Of this machine, so that the steps reach what this machine reaches.
LENT = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt")
#: Where pip and its like look for certificates, which have a list of their own.
TRUST = dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), "/etc/ssl/certs/ca-certificates.crt")


def mirror() -> str:
    """Where this machine has Debian from."""
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"], capture_output=True, text=True, check=True
    )
    return told.stdout.split()[0]


def make_base(base: Path) -> None:
    """A clean Debian, kept for the next time."""
    if (base / "usr/local/bin/python").is_symlink():
        return
    shutil.rmtree(base, ignore_errors=True)
    base.parent.mkdir(parents=True, exist_ok=True)
    include = f"--include={','.join(PACKAGES)}"
    command = ["debootstrap", "--variant=minbase", include, SUITE, str(base), mirror()]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (base / "usr/local/bin/python").symlink_to("/usr/bin/python3")


class Root:
    """One stage's file system. What its steps print goes to a file beside it."""

    def __init__(self, path: Path, base: Path) -> None:
        self.path = path
        self.log = path.with_name(f"{path.name}.log")
        if path.exists():
            shutil.rmtree(path)
        subprocess.run(["cp", "--archive", "--reflink=auto", str(base), str(path)], check=True)

    def command(self, words: Sequence[str], setup: Setup, env: Mapping[str, str] | None = None) -> list[str]:
        """How it is started: with processes of its own, this root, and nothing of this machine's environment."""
        lent = [word for path in LENT if Path(path).exists() for word in ("--ro-bind", str(Path(path).resolve()), path)]
        known = {"PATH": PATH, "HOME": "/root", **(TRUST if env is None else env), **setup.env}
        said = [word for name, value in known.items() for word in ("--setenv", name, value)]
        become: list[str] = []
        if setup.user != "root":
            become = ["setpriv", "--reuid", setup.user, "--regid", setup.user, "--init-groups", "--inh-caps=-all"]
            become += ["--bounding-set=-all", "--no-new-privs"]
            said += ["--setenv", "HOME", f"/home/{setup.user}"]
        return [
            "bwrap", "--bind", str(self.path), "/", "--proc", "/proc", "--dev", "/dev", *lent,
            "--unshare-pid", "--unshare-ipc", "--as-pid-1", "--die-with-parent", "--cap-add", "ALL",
            "--clearenv", *said, "--chdir", setup.directory, *become, *words,
        ]  # fmt: skip

    def run(self, script: str, setup: Setup) -> None:
        """A RUN. Raises `CalledProcessError`."""
        self.folder(setup.directory).mkdir(parents=True, exist_ok=True)
        words = self.command(["/bin/sh", "-c", script], setup)
        with self.log.open("ab") as log:
            subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def folder(self, path: str) -> Path:
        return self.path / path.lstrip("/")

    def copy(self, copied: Copy, setup: Setup, context: Path) -> None:
        """A COPY: the contents of a directory go into the target; files do so where it ends in `/`."""
        for source in copied.sources:
            found = context / source.lstrip("/")
            target = self.folder(str(Path(setup.directory) / copied.target))
            if found.is_dir():
                ignored = shutil.ignore_patterns("__pycache__") if copied.stage is None else None
                shutil.copytree(found, target, symlinks=True, dirs_exist_ok=True, ignore=ignored)
            else:
                into = target / found.name if copied.target.endswith("/") else target
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, into)
