"""Rate limits out of headers and error details."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine.agents.llm.limits import _LONGEST_MS, retry_at, span_ms, windows
from engine.agents.llm.lines import Window

NOW = 1_764_000_000_000  #: 2025-11-24 16:00 UTC


def test_anthropic_names_each_window_and_its_reset_as_a_date() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2025-11-24T16:00:12Z",
        "anthropic-ratelimit-input-tokens-limit": "30000",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2025-11-24T16:01:00Z",
    }
    assert windows(headers, NOW) == (
        Window("requests", 50, 49, NOW + 12_000),
        Window("input_tokens", 30_000, 0, NOW + 60_000),
    )
    assert retry_at(headers, {}, NOW) == NOW + 60_000, "the window that is used up counts"
    assert retry_at({**headers, "retry-after": "7"}, {}, NOW) == NOW + 7_000, "what is said outright counts first"


def test_openai_names_its_resets_as_spans() -> None:
    headers = {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-reset-requests": "120ms",
        "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-remaining-tokens": "-1",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert windows(headers, NOW) == (
        Window("requests", 500, 499, NOW + 120),
        Window("tokens", 30_000, None, NOW + 360_000),
    )
    assert retry_at(headers, {}, NOW) is None, "nothing is used up"


@pytest.mark.parametrize(
    ("text", "span"),
    [("12ms", 12), ("9.5s", 9_500), ("6m0s", 360_000), ("1h2m3s", 3_723_000), ("900ms", 900), ("36s", 36_000),
     ("2d", 172_800_000), ("7", 7_000), ("1m500ms", 60_500), ("", None), ("soon", None), ("s", None),
     ("9" * 400, _LONGEST_MS), ("9" * 400 + "s", _LONGEST_MS)],
)  # fmt: skip
def test_spans_as_providers_write_them(text: str, span: int | None) -> None:
    assert span_ms(text) == span


@pytest.mark.parametrize(
    ("headers", "after"),
    [({"retry-after-ms": "1500", "retry-after": "2"}, 1_500), ({"retry-after": "3600"}, 3_600_000),
     ({"retry-after": "Mon, 24 Nov 2025 16:00:30 GMT"}, 30_000), ({"retry-after": "later"}, None),
     ({"retry-after": "Mon, 99 Foo 2025"}, None)],
)  # fmt: skip
def test_retry_after_in_each_of_its_forms(headers: dict[str, str], after: int | None) -> None:
    assert retry_at(headers, {}, NOW) == (None if after is None else NOW + after)


def _google(delay: str, quota: str) -> dict[str, object]:
    return {
        "details": [
            {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]},
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
        ]
    }


def test_google_says_it_in_the_error() -> None:
    assert retry_at({}, _google("36s", "GenerateRequestsPerMinutePerProject"), NOW) == NOW + 36_000


def test_a_days_quota_of_google_is_not_free_after_seconds() -> None:
    at = retry_at({}, _google("36s", "GenerateRequestsPerDayPerProject"), NOW)
    assert at == NOW + 16 * 3_600_000, "midnight in California is 8:00 UTC"


@given(st.dictionaries(st.sampled_from([
    "retry-after", "retry-after-ms", "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens", "anthropic-ratelimit-tokens-limit", "anthropic-ratelimit-tokens-remaining",
    "anthropic-ratelimit-tokens-reset"]), st.text(alphabet="0123456789.-:TZsmhd e+²", max_size=25)))  # fmt: skip
def test_no_header_breaks_it(headers: dict[str, str]) -> None:
    windows(headers, NOW)
    at = retry_at(headers, {}, NOW)
    assert at is None or isinstance(at, int)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["details", "violations", "@type", "retryDelay", "quotaId", "resets_at"]),
                        inner, max_size=4)))  # fmt: skip
def test_no_error_breaks_it(error: object) -> None:
    retry_at({}, error if isinstance(error, dict) else {"details": error}, NOW)
