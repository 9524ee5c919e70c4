"""Tokens into money, by the price table of the library genai-prices: what is computed, and never reported."""

from __future__ import annotations

from msgspec.structs import replace

from engine.model import Grade, Usage


def priced(usage: Usage, provider: str, base_url: str | None) -> Usage:
    """The usage with its cost. A model that the table does not know costs an unknown sum, not nothing."""
    try:
        from genai_prices import Usage as Tokens
        from genai_prices import calc_price
    except ImportError:
        return usage
    told = Tokens(
        input_tokens=usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
    )
    try:
        price = calc_price(told, usage.model, provider_id=provider)
    except (LookupError, ValueError):
        if base_url is None:
            return usage
        try:
            price = calc_price(told, usage.model, provider_api_url=base_url)
        except (LookupError, ValueError):
            return usage
    return replace(usage, cost_micros=round(price.total_price * 1_000_000), grade=Grade.COMPUTED)
