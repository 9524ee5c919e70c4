"""What doctor says of keys, accounts and agents that have changed under us."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography import x509
from msgspec.structs import replace

from engine.config import AgentSettings, Settings
from engine.doctor import Check, examine
from engine.errors import UsageError
from engine.model import JobSpec
from engine.server.certificate import make
from engine.server.network import CERTIFICATE, FOLDER
from engine.server.network import KEY as KEY_FILE
from engine.server.validity import ends
from engine.serving import serving
from tests.conftest import settings_file
from tests.runner.living import ended, submit

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


@pytest.mark.parametrize(("days", "ok", "needed"), [(30, True, False), (10, False, False), (-1, False, True)])
async def test_it_tells_before_the_certificate_ends(
    home: Path, monkeypatch: pytest.MonkeyPatch, days: int, ok: bool, needed: bool
) -> None:
    assert not [one for one in await _looked_at(home, monkeypatch) if one.name == "certificate"]
    made = home / FOLDER / CERTIFICATE
    make(made, home / FOLDER / KEY_FILE, ["localhost"], days + 1)
    (found,) = (one for one in await _looked_at(home, monkeypatch) if one.name == "certificate")
    assert (found.ok, found.needed) == (ok, needed), found
    end = x509.load_pem_x509_certificate(made.read_bytes()).not_valid_after_utc
    assert ends(made) == end and f"{end:%Y-%m-%d}" in found.found
    assert f"in {days} days" in found.found or days < 0
    made.write_text("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")
    with pytest.raises(UsageError, match="no certificate"):
        ends(made)


async def test_an_agent_that_prints_what_nobody_knows_is_named_with_its_version(
    home: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init = {"type": "system", "subtype": "init", "session_id": "$S", "claude_code_version": "9.9.9"}
    end = {"type": "result", "subtype": "success", "is_error": False, "result": "done"}
    lines = "\n".join(f"echo '{json.dumps(one)}'" for one in ({"type": "brand_new"}, {"type": "newer"}, end))
    script = tmp_path / "claude"
    script.write_text(
        f'#!/bin/sh\nwhile [ "$1" != --session-id ]; do shift; done\nS=$2\n'
        f"printf '%s\\n' '{json.dumps(init)}' | sed \"s/\\$S/$S/\"\n{lines}\n"
    )
    script.chmod(0o755)
    given = replace(settings, agents={"claude": AgentSettings(command=[str(script)])})
    async with serving(home, given) as engine:
        (job,) = await submit(engine, JobSpec(prompt="x", agent="claude"))
        await ended(engine, job)
    (found,) = [check for check in await _looked_at(home, monkeypatch) if check.name == "drift"]
    assert found.found == f"claude 9.9.9: 2 unknown lines in 1 attempts, J{job} last"
    assert not found.ok
    assert not found.needed, "it is a warning: the jobs went on"
