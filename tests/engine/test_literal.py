"""A key in headway.yaml is refused, by its place, and nothing that is said of it repeats it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import load_settings
from engine.config.literal import INSTEAD
from engine.errors import HeadwayError, RefusedError

KEY = f"sk-ant-api03-{'a1B2' * 23}"
OPAQUE = f"a{'1b2c3d4e' * 4}"  # of a maker that puts no sign before it


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"accounts:\n  work:\n    agent: claude\n    key: {KEY}\n", "line 4: accounts.work.key: expected a mapping"),
        (
            f"accounts:\n  work: {{agent: claude, key: {{env: {KEY}}}}}\n",
            "accounts.work.key.env: there is a key in this",
        ),
        (f"accounts:\n  work: {{agent: claude, key: {{env: {OPAQUE}}}}}\n", "the key itself does not belong here"),
        (f"accounts:\n  work: {{agent: claude, key: {{file: {OPAQUE}}}}}\n", "it has to be an absolute path"),
        (
            f"accounts:\n  work: {{agent: claude, key: {{command: [echo, {KEY}]}}}}\n",
            "accounts.work.key.command: there is a key",
        ),
        (f"agents:\n  claude: {{env: {{FOO: {KEY}}}}}\n", "line 2: agents.claude.env.FOO: there is a key in this"),
        (f"agents:\n  claude: {{args: [--key, {KEY}]}}\n", "agents.claude.args: there is a key in this"),
        (f"agents:\n  claude: {{env: {{P: 'http://me:{'pa55word'}@proxy'}}}}\n", "agents.claude.env.P: there is a key"),
        (f"default_agent: {KEY}\n", "default_agent"),
        (f"agents:\n  claude: {{permission: {KEY}}}\n", "agents.claude.permission"),
        (f"{KEY}: 1\n", "no key"),
    ],
)
def test_a_key_itself_is_refused_and_not_repeated(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "headway.yaml"
    file.write_text(text)
    with pytest.raises(HeadwayError) as refused:
        load_settings(file, ("claude", "shell"))
    assert told in str(refused.value)
    assert KEY[13:] not in str(refused.value)
    assert OPAQUE not in str(refused.value)
    assert "pa55word" not in str(refused.value)


def test_references_are_what_is_wanted(tmp_path: Path) -> None:
    file = tmp_path / "headway.yaml"
    file.write_text(
        "accounts:\n  a: {agent: claude, key: {env: ANTHROPIC_API_KEY_2}}\n  b: {agent: claude, key: {file: ~/.key}}\n"
        "  c: {agent: claude, key: {command: [pass, show, work/anthropic]}}\n"
    )
    assert sorted(load_settings(file, ("claude",)).accounts) == ["a", "b", "c"]
    assert "{env: NAME}" in INSTEAD


def test_settings_that_anybody_can_write_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "headway.yaml"
    file.write_text("max_running: 1\n")
    file.chmod(0o666)
    with pytest.raises(RefusedError, match="anybody can write"):
        load_settings(file, ())
