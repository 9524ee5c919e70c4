"""What doctor says of keys, accounts and agents that have changed under us."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.doctor import Check, examine
from tests.conftest import settings_file

KEY = "sk-made-up-for-a-test"


async def _looked_at(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "none"))
    checks = await examine(home)
    assert KEY not in repr(checks)
    return checks


async def test_it_names_keys_in_the_settings_and_accounts_that_cannot_work(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "key"
    shared.write_text(KEY)
    shared.chmod(0o644)
    settings_file(
        home,
        f"""\
agents:
  claude: {{env: {{ANTHROPIC_API_KEY: {KEY}}}}}
accounts:
  shared: {{agent: claude, key: {{file: {shared}}}}}
  gone: {{agent: claude, config_dir: {tmp_path}/none}}
""",
    )
    warned = [check for check in await _looked_at(home, monkeypatch) if not check.ok and not check.needed]
    told = {f"{check.name}: {check.found}" for check in warned}
    assert f"account gone: claude: {tmp_path}/none is not there" in told
    assert any("agents.claude.env.ANTHROPIC_API_KEY looks like a key" in one for one in told)
    assert any(f"the key in {shared} can be read by others" in one for one in told)
