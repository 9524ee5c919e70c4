"""Tokens into money: the table, its tiers and dates, and the prices of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.agents.registry import agents
from engine.config import PriceSettings, load_settings
from engine.errors import UsageError
from engine.model import Grade, Target, Usage
from engine.money import TOKENS, Entry
from engine.spend.prices import OWN, Prices, estimate, table

CLAUDE = Target("claude", "opus", "work")


def usage(model: str, **tokens: int) -> Usage:
    return Usage(model=model, **{f"{name}_tokens": count for name, count in tokens.items()})


def test_cached_tokens_and_what_is_written_for_an_hour_have_prices_of_their_own() -> None:
    """$3 in, $15 out, $0.3 read, $3.75 and $6 written, for a million each."""
    told = usage("claude-sonnet-4-5", input=10, output=50, cache_read=3_000, cache_write=200, cache_write_1h=100)
    price = Prices().of(told, "anthropic")
    assert price is not None
    assert price.micros == 10 * 3 + 50 * 15 + 900 + 375 + 600
    assert price.table == table() and table().startswith("genai-prices ")


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("no-such-model", "anthropic"),
        ("no-such-model", None),
        ("unknown", None),
        ("local/gpt-5.5", None),  # a server of one's own that calls a model so
        ("gpt-5.5", "my-proxy"),
    ],
)
def test_a_model_that_nobody_knows_costs_an_unknown_sum_and_not_nothing(model: str, provider: str | None) -> None:
    assert Prices().of(usage(model, input=10), provider) is None
    entry = Entry(message="m", usage=usage(model, input=10))
    (after,) = Prices().priced([entry], Target("llm", f"{provider}/x" if provider else model))
    assert (after.usage.cost_micros, after.usage.grade, after.price) == (None, Grade.UNKNOWN, None)


def test_a_long_request_costs_more_and_a_sum_of_short_ones_does_not() -> None:
    """gemini-2.5-pro: $1.25 in below 200,000 tokens, $2.5 above; out $10 and $15."""
    told = usage("gemini-2.5-pro", input=300_000, output=40)
    one, many = Prices().of(told, "google"), Prices().of(told, "google", lump=True)
    assert one is not None and many is not None
    assert (one.micros, one.exact) == (750_600, True)
    assert (many.micros, many.exact) == (375_400, False)
    target = Target("gemini", "gemini-2.5-pro")
    message, rest = Prices().priced([Entry(message="m", usage=told), Entry(message="/rest", usage=told)], target)
    assert (message.usage.grade, rest.usage.grade) == (Grade.COMPUTED, Grade.ESTIMATED)


def test_a_price_is_the_one_of_its_day() -> None:
    """GLM-5.3-Flash was half price up to 2026-09-09."""
    told = usage("GLM-5.3-Flash", input=1_000_000)
    prices = [Prices().of(told, "zhipuai", at=at) for at in (1_788_825_600_000, 1_789_084_800_000)]
    assert [one.micros for one in prices if one is not None] == [55_000, 110_000]


def test_ones_own_prices_come_first_by_name_then_by_pattern() -> None:
    own = {"gpt-5.5": PriceSettings(input=1, output=2), "qwen*": PriceSettings(input=0.5, output=0, cache_read=0.1)}
    prices = Prices(own)
    told = {"input": 10, "output": 10, "cache_read": 100, "cache_write": 10, "cache_write_1h": 5}
    by_name, by_pattern = prices.of(usage("gpt-5.5", **told)), prices.of(usage("ollama/qwen3:8b", **told))
    assert by_name is not None and by_pattern is not None
    assert (by_name.micros, by_name.table) == (10 + 20 + 100 + 10, OWN)
    assert by_pattern.micros == 5 + 10 + 5
    assert estimate("qwen3", usage("", input=100), own) == 50
    assert estimate("claude-opus-5-5", usage("", input=1_000_000)) == 4_000_000


def test_a_free_model_costs_nothing_and_that_is_known() -> None:
    prices = Prices({"llama": PriceSettings(input=0, output=0)})
    (after,) = prices.priced([Entry(message="m", usage=usage("llama", input=5))], Target("llm", "local/llama"))
    assert (after.usage.cost_micros, after.usage.grade, after.price) == (0, Grade.COMPUTED, OWN)


def test_what_its_agent_said_is_not_computed_again() -> None:
    said = Usage(model="claude-opus-5-5", input_tokens=1_000, cost_micros=7, grade=Grade.REPORTED)
    assert Prices().priced([Entry(message="m", usage=said)], CLAUDE) == [Entry(message="m", usage=said)]


def test_a_message_that_is_not_told_to_its_end_is_an_estimate() -> None:
    entry = Entry(message="m", usage=usage("claude-opus-5-5", input=1_000, output=1), final=False)
    (after,) = Prices().priced([entry], CLAUDE)
    assert (after.usage.cost_micros, after.usage.grade) == (4_020, Grade.ESTIMATED)


@given(st.fixed_dictionaries({name: st.integers(-100_000, 100_000) for name in TOKENS if "1h" not in name}))
def test_what_is_taken_back_costs_less_than_nothing(tokens: dict[str, int]) -> None:
    told = Usage(model="claude-opus-5-5", **tokens)
    back = Usage(model="claude-opus-5-5", **{name: -count for name, count in tokens.items()})
    one, other = Prices().of(told, "anthropic"), Prices().of(back, "anthropic")
    assert one is not None and other is not None
    assert one.micros == -other.micros


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("prices: {gpt-5.5: {input: -1, output: 2}}", "0"),
        ("prices: {gpt-5.5: {input: 1}}", "output"),
        ("prices: {gpt-5.5: {input: 1, output: 2, cached: 3}}", "cached"),
        ("spend: {alarm: -1}", "alarm"),
    ],
)
def test_a_wrong_price_is_refused_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "headway.yaml"
    file.write_text(f"max_running: 2\n{line}\n")
    with pytest.raises(UsageError, match=rf"line 2.*{said}"):
        load_settings(file, agents())
