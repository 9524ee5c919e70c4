"""What version of an agent is installed: asked once for each build, and never in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.runner import version
from engine.runner.version import Versions


def program(path: Path, said: str, code: int = 0) -> list[str]:
    path.write_text(f"#!/bin/sh\necho x >>{path}.asked\necho '{said}'\nexit {code}\n")
    path.chmod(0o755)
    return [str(path), "--version"]


@pytest.mark.parametrize(
    ("said", "code", "found"),
    [
        ("2.1.330 (Claude Code)", 0, "2.1.330"),
        ("codex-cli 0.169.0-beta.1", 0, "0.169.0-beta.1"),
        ("no number here", 0, None),
        ("2.1.330", 1, None),
    ],
)
async def test_the_first_version_that_is_printed_counts(
    tmp_path: Path, said: str, code: int, found: str | None
) -> None:
    assert await Versions().of(program(tmp_path / "agent", said, code)) == found


async def test_it_is_asked_once_and_again_when_the_program_is_another_one(tmp_path: Path) -> None:
    known = Versions()
    for _ in range(3):
        assert await known.of(
            program(tmp_path / "agent", "1.0.0") if _ == 0 else [str(tmp_path / "agent"), "--version"]
        )
    assert (tmp_path / "agent.asked").read_text() == "x\n"
    assert await known.of(program(tmp_path / "agent", "10.0.0")) == "10.0.0"


async def test_what_cannot_be_asked_has_no_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Versions()
    assert await known.of(None) is None
    assert await known.of([str(tmp_path / "nowhere"), "--version"]) is None
    monkeypatch.setattr(version, "ANSWER_SECONDS", 0.2)
    (tmp_path / "hangs").write_text("#!/bin/sh\nsleep 600\n")
    (tmp_path / "hangs").chmod(0o755)
    assert await known.of([str(tmp_path / "hangs"), "--version"]) is None
