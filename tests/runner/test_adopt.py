"""What became of an attempt while no engine looked: every combination of what its files can say."""

from __future__ import annotations

import pytest

from engine.runner.adopt import Finding, finding
from engine.runner.run_dir import Claimed


@pytest.mark.parametrize(
    ("claimed", "exit_code", "alive", "found"),
    [
        (Claimed.STARTED, None, True, Finding.ADOPT),
        (Claimed.STARTED, 0, False, Finding.SETTLE),
        (Claimed.STARTED, 137, False, Finding.SETTLE),
        (Claimed.STARTED, 0, True, Finding.SETTLE),  # it has written its end and is about to go
        (Claimed.STARTED, None, False, Finding.LOST),
        (Claimed.VOIDED, None, False, Finding.NEVER_STARTED),
        (Claimed.NEVER, None, False, Finding.NEVER_STARTED),
    ],
)
def test_the_files_decide(claimed: Claimed, exit_code: int | None, alive: bool, found: Finding) -> None:
    assert finding(claimed, exit_code, alive) is found


@pytest.mark.parametrize("claimed", [Claimed.NEVER, Claimed.VOIDED])
@pytest.mark.parametrize("exit_code", [None, 0])
@pytest.mark.parametrize("alive", [False, True])
def test_what_never_began_has_no_end_whatever_else_lies_there(
    claimed: Claimed, exit_code: int | None, alive: bool
) -> None:
    assert finding(claimed, exit_code, alive) is Finding.NEVER_STARTED
