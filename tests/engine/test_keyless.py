"""A key in what is submitted is not kept: it is left out of words, and a command with one is refused."""

from __future__ import annotations

import pytest

from engine.agents.registry import agents
from engine.config import Settings
from engine.errors import EntryError
from engine.keyless import INSTEAD, without_keys
from engine.model import JobSpec, Wanted
from engine.redact import MARK, Secrets
from engine.submission import accepted

KEY = f"sk-ant-api03-{'a1B2' * 23}"


def submitted(*specs: JobSpec, then: JobSpec | None = None) -> tuple[list[str], list[str], list[int]]:
    """Prompts, titles, and the places of those that had a key."""
    known = agents()
    wanted = Wanted(list(specs), batch="b" if then else None, then=then)
    submission = accepted(wanted, Settings(), known.keys(), 0)
    kept, found = without_keys(submission, known, Secrets().kept)
    return [one.spec.prompt for one in kept.all], [one.title for one in kept.all], found


def test_words_are_kept_without_their_keys() -> None:
    prompts, titles, found = submitted(
        JobSpec(prompt="fix it", agent="claude"),
        JobSpec(prompt=f"use\n{KEY}", title=f"with {KEY}", agent="claude"),
        then=JobSpec(prompt=f"report to https://me:{'pa55word'}@host/", agent="codex"),
    )
    assert prompts == ["fix it", f"use\n{MARK}", f"report to https://{MARK}@host/"]
    assert titles[:2] == ["fix it", f"with {MARK}"]
    assert found == [1, 2]


def test_a_command_with_a_key_is_refused_by_its_place_and_not_repeated() -> None:
    with pytest.raises(EntryError) as refused:
        submitted(JobSpec(prompt="true", agent="shell"), JobSpec(prompt=f"curl -H 'x-api-key: {KEY}' x", agent="shell"))
    assert (refused.value.entry, refused.value.key) == (1, "prompt")
    assert INSTEAD in refused.value.message
    assert KEY not in refused.value.message
    # What stands beside the command is left out like other words.
    assert submitted(JobSpec(prompt="true", agent="shell", title=f"with {KEY}"))[1] == [f"with {MARK}"]
