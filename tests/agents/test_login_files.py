"""What an agent's own login file tells, and what it never tells."""

from __future__ import annotations

import base64
import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.agents.login_files import read_login

NOW = 1_764_000_000_000
LATER, EARLIER = NOW + 3_600_000, NOW - 3_600_000
SECRET = "secret-of-the-login"


def _token(expires: int) -> str:
    claims = json.dumps({"exp": expires / 1_000, "sub": SECRET}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.{SECRET}"


CASES: list[tuple[str, dict[str, Any], bool]] = [
    ("claude", {"claudeAiOauth": {"accessToken": SECRET, "expiresAt": LATER, "subscriptionType": "max"}}, True),
    ("claude", {"claudeAiOauth": {"accessToken": SECRET, "expiresAt": EARLIER}}, False),
    ("claude", {"claudeAiOauth": {"accessToken": SECRET, "refreshToken": SECRET, "expiresAt": EARLIER}}, True),
    ("claude", {"mcpOAuth": {}}, False),
    ("codex", {"OPENAI_API_KEY": SECRET, "tokens": None}, True),
    ("codex", {"tokens": {"access_token": _token(EARLIER), "refresh_token": SECRET}}, True),
    ("codex", {"tokens": {"access_token": _token(EARLIER)}}, False),
    ("codex", {"tokens": {"access_token": _token(LATER)}}, True),
    ("codex", {"OPENAI_API_KEY": None}, False),
    ("opencode", {"anthropic": {"type": "api", "key": SECRET}}, True),
    ("opencode", {"a": {"type": "oauth", "refresh": SECRET, "expires": EARLIER}}, True),
    ("opencode", {"a": {"type": "oauth", "expires": EARLIER}, "b": {"type": "api", "key": SECRET}}, False),
    ("opencode", {}, False),
    ("gemini", {"access_token": SECRET, "refresh_token": SECRET, "expiry_date": EARLIER}, True),
    ("gemini", {"access_token": SECRET, "expiry_date": EARLIER}, False),
    ("gemini", {}, False),
]


@pytest.mark.parametrize(("agent", "content", "ok"), CASES)
def test_a_login_holds_until_it_ends_or_for_as_long_as_it_renews_itself(
    agent: str, content: dict[str, Any], ok: bool
) -> None:
    told = read_login(agent, json.dumps(content).encode(), NOW)
    assert told.ok is ok, told
    assert SECRET not in repr(told)


def test_an_end_is_told_where_there_is_one() -> None:
    login = {"claudeAiOauth": {"accessToken": SECRET, "expiresAt": LATER}}
    assert read_login("claude", json.dumps(login).encode(), NOW).expires_at == LATER


@given(st.sampled_from(["claude", "codex", "opencode", "gemini"]), st.binary(max_size=80))
def test_what_cannot_be_read_is_no_login(agent: str, data: bytes) -> None:
    told = read_login(agent, data, NOW)
    assert told.ok is False or data.strip() != b""
