"""The limits in the headers of an answer: whose they are, and that a wrong clock or rubbish does no harm."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.agents.events import Limit
from engine.agents.headers import limits_in
from engine.agents.readings import reading_of
from engine.dispatch.windows import observe
from engine.window import UNNAMED, Standing

NOW = 1_764_000_000_000  #: 2025-11-24 16:00 UTC
SOON = NOW // 1_000 + 3_600
UNIFIED = {
    "anthropic-ratelimit-unified-status": "allowed_warning",
    "anthropic-ratelimit-unified-reset": str(SOON),
    "anthropic-ratelimit-unified-representative-claim": "five_hour",
    "Anthropic-RateLimit-Unified-5h-Utilization": "0.93",
    "anthropic-ratelimit-unified-5h-reset": str(SOON),
    "anthropic-ratelimit-unified-5h-status": "allowed_warning",
    "anthropic-ratelimit-unified-7d-utilization": "1.2",
    "anthropic-ratelimit-unified-7d-status": "rejected",
}
CODEX = {
    "x-codex-primary-used-percent": "100",
    "x-codex-primary-window-minutes": "300",
    "x-codex-primary-reset-at": str(SOON),
    "x-codex-secondary-used-percent": "17.5",
    "x-codex-secondary-window-minutes": "10080",
    "x-codex-secondary-reset-after-seconds": "90",
}
COUNTS = {"anthropic-ratelimit-tokens-limit": "100", "anthropic-ratelimit-tokens-remaining": "5",
          "anthropic-ratelimit-tokens-reset": "2025-11-24T16:00:30Z"}  # fmt: skip


def told(headers: dict[str, str], *, refused: bool = False) -> dict[str, Limit]:
    return {one.window: one for one in limits_in(headers, NOW, refused=refused, model="m")}


def test_a_subscription_tells_its_windows_and_what_is_served_beyond_one_closes_nothing() -> None:
    found = told(UNIFIED)
    assert set(found) == {"five_hour", "seven_day"}
    five, seven = found["five_hour"], found["seven_day"]
    assert (five.status, five.used, five.resets_at, five.model) == ("warning", 0.93, SOON * 1_000, "")
    assert (seven.status, seven.used) == ("warning", 1.0)
    assert told({**UNIFIED, "anthropic-ratelimit-unified-status": "rejected"})["seven_day"].status == "rejected"


def test_a_refusal_of_a_window_that_is_only_named_closes_it_for_its_models() -> None:
    said = {"status": "rejected", "reset": str(SOON), "representative-claim": "seven_day_opus"}
    claim = {f"anthropic-ratelimit-unified-{name}": value for name, value in said.items()}
    (one,) = told(claim, refused=True).values()
    assert (one.window, one.status, one.resets_at, one.model) == ("seven_day_opus", "rejected", SOON * 1_000, "opus")


def test_codex_tells_two_windows_and_credits_keep_them_open() -> None:
    found = told(CODEX)
    five, seven = found["five_hour"], found["seven_day"]
    assert (five.status, five.resets_at, five.length) == ("rejected", SOON * 1_000, 18_000_000)
    assert (seven.status, seven.used, seven.resets_in) == ("allowed", 0.175, 90_000)
    assert told({**CODEX, "x-codex-credits-has-credits": "true"})["five_hour"].status == "warning"


def test_windows_of_tokens_are_the_models_and_a_refusal_without_one_has_no_name() -> None:
    tokens = told(COUNTS)["tokens"]
    assert (tokens.status, tokens.used, tokens.resets_at, tokens.model) == ("warning", 0.95, NOW + 30_000, "m")
    assert UNNAMED not in told(COUNTS)
    one = told({**COUNTS, "retry-after": "7999"}, refused=True)[UNNAMED]
    assert (one.status, one.resets_at, one.model) == ("rejected", NOW + 7_999_000, "m")


def test_what_a_refusal_says_outright_comes_before_the_reset_of_the_window_that_is_used_up() -> None:
    used_up = {**COUNTS, "anthropic-ratelimit-tokens-remaining": "0"}
    assert told(used_up, refused=True)["tokens"].resets_at == NOW + 30_000
    assert told({**used_up, "retry-after": "7"}, refused=True)["tokens"].resets_at == NOW + 7_000
    assert told({**used_up, "retry-after": "7"})["tokens"].resets_at == NOW + 30_000


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_moment_is_shifted_by_what_the_answers_date_says(hours: int) -> None:
    """The provider's clock is right, ours is off: what is left is what counts."""
    ours = NOW + hours * 3_600_000
    headers = {**COUNTS, "date": "Mon, 24 Nov 2025 16:00:00 GMT"}
    (one,) = limits_in(headers, ours, refused=False, model="m")
    assert one.resets_at == ours + 30_000


_OTHERS = ("date", "retry-after", "x-ratelimit-limit-tokens", "x-codex-credits-unlimited")
_NAMES = sorted({*UNIFIED, *CODEX, *COUNTS, *_OTHERS})


@given(st.dictionaries(st.sampled_from(_NAMES), st.text(alphabet="0123456789.-:TZeE+ allowedrjct²", max_size=25)),
       st.booleans())  # fmt: skip
def test_no_header_breaks_it(headers: dict[str, str], refused: bool) -> None:
    for one in limits_in(headers, NOW, refused=refused, model="m"):
        window = observe(None, "a", reading_of(one, "claude", NOW, None), NOW, 0.0)
        assert window.name == one.window
        assert (window.closed is not None) == (one.status == "rejected")
        assert reading_of(one, "claude", NOW, "m").standing in Standing
