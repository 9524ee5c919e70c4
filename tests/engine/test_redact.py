"""Known secrets out of what the engine writes."""

from __future__ import annotations

import io
import logging

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.redact import MARK, Filter, Secrets, is_secret

KEY = "sk-made-up-for-a-test"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("ANTHROPIC_API_KEY", True), ("CLAUDE_CODE_OAUTH_TOKEN", True), ("AWS_SECRET_ACCESS_KEY", True),
        ("PGPASSWORD", False), ("DB_PASSWORD", True), ("HEADWAY_LLM_KEY", True), ("ANTHROPIC_CUSTOM_HEADERS", True),
        ("GOOGLE_APPLICATION_CREDENTIALS", False), ("SSH_AUTH_SOCK", False), ("AWS_ACCESS_KEY_ID", False),
        ("CLAUDE_CODE_MAX_OUTPUT_TOKENS", False), ("MONKEY", False), ("PATH", False), ("KEY_FILE", False),
    ],
)  # fmt: skip
def test_a_name_tells_whether_its_value_is_a_secret(name: str, secret: bool) -> None:
    assert is_secret(name) is secret


def test_only_known_values_go_and_short_ones_stay() -> None:
    secrets = Secrets()
    assert secrets.out_of(f"the key {KEY}") == f"the key {KEY}"
    secrets.learn_from({"API_KEY": KEY, "TOKEN": "short", "PATH": "/usr/local/bin"})
    assert secrets.out_of(f"{KEY}{KEY} in /usr/local/bin, short") == f"{MARK}{MARK} in /usr/local/bin, short"
    assert secrets.out_of_bytes(f'{{"a":"{KEY}"}}'.encode()) == f'{{"a":"{MARK}"}}'.encode()
    assert secrets.out_of(None) is None
    assert KEY not in repr(secrets)


def test_the_longer_of_two_that_begin_alike_goes_whole() -> None:
    secrets = Secrets()
    secrets.learn(["sk-12345678", "sk-12345678-and-more"])
    assert secrets.out_of("sk-12345678-and-more") == MARK


@given(st.lists(st.text(alphabet="ab.*\\[(", min_size=8, max_size=12), max_size=5), st.text(alphabet="ab.*\\[("))
def test_no_known_value_is_left_in_any_text(values: list[str], text: str) -> None:
    secrets = Secrets()
    secrets.learn(values)
    found = secrets.out_of("".join([text, *values, text]))
    assert not any(value in found for value in values)


def test_a_log_holds_none_in_its_lines_and_tracebacks() -> None:
    secrets, out = Secrets(), io.StringIO()
    secrets.learn([KEY])
    handler = logging.StreamHandler(out)
    handler.addFilter(Filter(secrets))
    logger = logging.getLogger("test_redact")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        logger.warning("job %d: %s", 1, f"it said {KEY}")
        try:
            raise ValueError(f"no {KEY} please")
        except ValueError:
            logger.exception("failed")
    finally:
        logger.removeHandler(handler)
    assert KEY not in out.getvalue()
    assert f"job 1: it said {MARK}" in out.getvalue()
    assert f"ValueError: no {MARK} please" in out.getvalue()
