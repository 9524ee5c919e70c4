"""What once broke a reader, and the first seeds of each target: read each time, so that it stays mended."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.contract import holds
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
ENTRY_BYTES = 4_096
SLACK = 30  #: the machine may be busy: here a reader only must not hang


def test_the_corpus_is_small_and_each_entry_has_a_target() -> None:
    for path in CORPUS.rglob("*"):
        if path.is_file():
            assert path.parent.name in TARGETS, f"{path} is of no target"
            assert path.stat().st_size <= ENTRY_BYTES, f"{path} is larger than {ENTRY_BYTES} bytes"


@pytest.mark.parametrize("name", TARGETS)
def test_the_contract_holds_for_what_once_broke_it(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    target = TARGETS[name]
    entries = sorted((CORPUS / name).glob("*"))
    with target.opened() as read:
        for seed in target.seeds()[:1]:
            holds(read, seed, slack=SLACK)
        for entry in entries:
            holds(read, entry.read_bytes(), slack=SLACK)
