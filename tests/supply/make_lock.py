"""Writes the lock files: `make lock`. Resolved by uv for every Python and platform that Headway runs on.

A version that is locked already stays where it can; `make lock ARGS=--upgrade` takes the newest of all.
Where packages were found is not written down: a hash says what they are, whoever hands them out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.supply.lock import BUILD, FILES, FOLDER, ROOT, SERVED, SUPPLY, asked_by

BUILDS = ("hatchling", "editables")
LISTS = ("cyclonedx-bom",)
UPGRADE = "--upgrade"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_HEAD = "# Made by `make lock` from pyproject.toml; `make lock-check` holds it against that. {about}\n"
_ABOUT = {
    "serve.txt": "What the image installs: Headway's own dependencies with the extras llm, memory and otel.",
    "dev.txt": "What tests and checks need beside that.",
    "all.txt": "Every other extra.",
    BUILD: "What makes a wheel, and the list of all that is in an image.",
    SUPPLY: "What makes and checks these files.",
}


def main() -> None:
    """Resolve everything together, so that the files agree; then each part of it."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "build.in").write_text("\n".join((*BUILDS, *LISTS)))
        (folder / "supply.in").write_text("\n".join(map(str, asked_by("supply"))))
        (folder / "dev.in").write_text("\n".join(BUILDS))
        everything = _resolve(folder, "everything", ["--all-extras", "pyproject.toml", str(folder / "build.in")])
        agree = ["--constraint", str(everything)]
        served = [word for extra in SERVED for word in ("--extra", extra)]
        parts = [
            _resolve(folder, "serve", [*agree, *served, "pyproject.toml"]),
            _resolve(folder, "dev", [*agree, *served, "--extra", "dev", "pyproject.toml", str(folder / "dev.in")]),
            everything,
        ]
        known: set[str] = set()
        for number, (target, path) in enumerate(zip(FILES, parts, strict=True)):
            new = [block for block in _entries(path) if block not in known]
            known.update(new)
            _write(target, new, FILES[number - 1] if number else None)
        for target, source in ((BUILD, "build"), (SUPPLY, "supply")):
            _write(target, _entries(_resolve(folder, source, [*agree, str(folder / f"{source}.in")])), None)


def _resolve(folder: Path, name: str, words: Sequence[str]) -> Path:
    target = folder / f"{name}.txt"
    if UPGRADE not in sys.argv:
        target.write_text("".join(block for file in (*FILES, BUILD, SUPPLY) for block in _entries(FOLDER / file)))
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if uv is None:
        sys.exit("uv is not here: `make lock` installs it")
    command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
    command += ["--no-annotate", "--no-header", "--output-file", str(target), *words]
    trusted = {"SSL_CERT_FILE": str(CERTIFICATES)} if CERTIFICATES.exists() else {}
    subprocess.run(command, check=True, cwd=ROOT, env={**trusted, **os.environ})
    return target


def _entries(path: Path) -> list[str]:
    """Blocks of an entry and its hashes; none where there is no such file yet."""
    found: list[str] = []
    if not path.exists():
        return found
    for line in path.read_text().splitlines(keepends=True):
        if line.startswith(" ") and found:
            found[-1] += line
        elif line.strip() and not line.startswith(("#", "-r ")):
            found.append(line)
    return found


def _write(name: str, entries: Sequence[str], before: str | None) -> None:
    head = _HEAD.format(about=_ABOUT[name]) + (f"-r {before}\n" if before else "")
    (FOLDER / name).write_text(head + "".join(entries))
    print(f"{name}: {len(entries)} packages")


if __name__ == "__main__":
    main()
