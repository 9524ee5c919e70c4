"""Tokens into money, by the prices of headway.yaml and else by the table of the library genai-prices.

The library and its table take 0.2 to 0.4 s of CPU and 32 MB of memory to load, so that is done at the first message
without a price of its own, and by callers that wait for it in a thread. The table lies in the package: nothing is asked
of a network. It has no date of its own; its version is kept with each sum.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from engine.config import PriceSettings, Settings
from engine.model import Grade, Target, Usage
from engine.money import TOKENS, Entry

OWN = "headway.yaml"
MILLION = 1_000_000
#: No request is as long as what a whole run told the model: where only the sum of a run is known, it is priced in
#: pieces of so many tokens, below where the first model's price goes up with a request's length (100,000).
PIECE = 50_000

#: Whose models an agent asks, where its model does not say so before a slash. Names of the table.
PROVIDERS: Mapping[str, str] = {"claude": "anthropic", "codex": "openai", "gemini": "google"}
_SAME = {"gemini": "google", "xai": "x-ai", "mistralai": "mistral", "google-vertex": "google", "amazon-bedrock": "aws"}


class Price(Struct, frozen=True):
    """What tokens cost, in micro-dollars, and by which table."""

    micros: int
    table: str
    exact: bool = True
    """Else the price depends on how long each request was, which is not known."""


class Whose(Struct, frozen=True):
    """Whose prices hold, as far as that is known."""

    provider: str | None = None
    url: str | None = None


class Prices:
    """The prices of one engine."""

    def __init__(
        self, own: Mapping[str, PriceSettings] | None = None, urls: Mapping[str, str | None] | None = None
    ) -> None:
        """`urls`: where providers that the table may not know by name are asked."""
        self._own = own or {}
        self._urls = urls or {}

    @classmethod
    def of_settings(cls, settings: Settings) -> Prices:
        return cls(settings.prices, {name: one.base_url for name, one in settings.agent("llm").providers.items()})

    def at_hand(self, entries: Iterable[Entry]) -> bool:
        """Whether they can be priced without the table being loaded for it."""
        if _calculator.cache_info().currsize:
            return True
        return all(one.usage.cost_micros is not None or self.own(one.usage.model) is not None for one in entries)

    def priced(self, entries: Iterable[Entry], target: Target) -> list[Entry]:
        """Entries with the money that their agent did not tell. Without a known price the cost stays unknown."""
        return [self._priced(entry, target) for entry in entries]

    def _priced(self, entry: Entry, target: Target) -> Entry:
        usage = entry.usage
        if usage.cost_micros is not None or entry.of_session:
            return entry
        lump = entry.message.startswith("/")
        price = self.of(usage, provider_of(target), at=entry.at, lump=lump)
        if price is None:
            return entry
        grade = Grade.COMPUTED if entry.final and price.exact else Grade.ESTIMATED
        return replace(entry, usage=replace(usage, cost_micros=price.micros, grade=grade), price=price.table)

    def of(
        self, usage: Usage, provider: str | None = None, *, at: int | None = None, lump: bool = False
    ) -> Price | None:
        """What tokens cost at a time (milliseconds UTC, else now); None where the model is not known.

        `lump`: they are of several requests.
        """
        own = self.own(usage.model)
        if own is not None:
            return Price(_by_hand(own, usage), OWN)
        before, model = _split(usage.model)
        named = before or provider
        whose = Whose(_SAME.get(named, named), self._urls.get(named)) if named else Whose()
        more, back = _signed(usage)
        when = None if at is None else datetime.fromtimestamp(at / 1000, UTC)
        costs: list[Price] = []
        for one in (more, back):
            cost = _by_table(one, model, whose, when, lump)
            if cost is None:
                return None
            costs.append(cost)
        return Price(costs[0].micros - costs[1].micros, costs[0].table, costs[0].exact and costs[1].exact)

    def own(self, model: str) -> PriceSettings | None:
        """What headway.yaml says of a model: of its very name, else of the first pattern that fits."""
        names = {model, _split(model)[1]}
        exact = next((self._own[name] for name in names if name in self._own), None)
        if exact is not None:
            return exact
        return next((one for pattern, one in self._own.items() for name in names if fnmatchcase(name, pattern)), None)


def estimate(model: str, tokens: Usage, own: Mapping[str, PriceSettings] | None = None) -> int | None:
    """What tokens would cost on a model, in micro-dollars; None where nothing knows its price.

    `model`: as the provider calls it, or `provider/model`. `own`: the prices of headway.yaml.
    """
    found = Prices(own).of(replace(tokens, model=model), lump=True)
    return found.micros if found is not None else None


def provider_of(target: Target) -> str | None:
    """Whose prices hold for a target, by the table's names."""
    before, _ = _split(target.model or "")
    return before or PROVIDERS.get(target.agent)


def _split(model: str) -> tuple[str, str]:
    """`anthropic/claude-x` as provider and model; what a name has in brackets at its end is claude's own affair."""
    provider, slash, rest = model.partition("/")
    name = (rest if slash else model).partition("[")[0]
    return (provider, name) if slash else ("", name)


def _signed(usage: Usage) -> tuple[Usage, Usage]:
    """Its tokens above zero, and those below, which are taken back."""
    more = {name: max(0, getattr(usage, name)) for name in TOKENS}
    back = {name: max(0, -getattr(usage, name)) for name in TOKENS}
    return Usage(model=usage.model, **more), Usage(model=usage.model, **back)


def _by_hand(own: PriceSettings, usage: Usage) -> int:
    read = own.input if own.cache_read is None else own.cache_read
    write = own.input if own.cache_write is None else own.cache_write
    hour = write if own.cache_write_1h is None else own.cache_write_1h
    kept = usage.cache_write_1h_tokens
    dollars = (
        usage.input_tokens * own.input
        + usage.output_tokens * own.output
        + usage.cache_read_tokens * read
        + (usage.cache_write_tokens - kept) * write
        + kept * hour
    )
    return round(dollars)  # dollars for a million tokens are micro-dollars for one


def _by_table(usage: Usage, model: str, whose: Whose, when: datetime | None, lump: bool) -> Price | None:
    told = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    if not any(getattr(usage, name) for name in TOKENS):
        return Price(0, table())
    whole = _ask(usage, model, whose, when, 1)
    if whole is None or not lump or told <= PIECE:
        return None if whole is None else Price(round(whole * MILLION), table())
    pieces = -(-told // PIECE)
    small = _ask(usage, model, whose, when, pieces) or 0.0
    exact = abs(small * pieces - whole) <= whole * 1e-9
    return Price(round((whole if exact else small * pieces) * MILLION), table(), exact)


def _ask(usage: Usage, model: str, whose: Whose, when: datetime | None, pieces: int) -> float | None:
    """Dollars for the tokens divided by `pieces`, as the table has it.

    A provider that is named and that the table does not know has no price: a server of one's own may cost nothing.
    """
    calc_price, tokens = _calculator()
    parts = Decimal(pieces)
    hour = usage.cache_write_1h_tokens / parts
    write = usage.cache_write_tokens / parts
    told = tokens(
        input_tokens=(usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens) / parts,
        cache_read_tokens=usage.cache_read_tokens / parts,
        cache_write_tokens=write,
        cache_write_5m_tokens=write - hour,
        cache_write_1h_tokens=hour,
        output_tokens=usage.output_tokens / parts,
    )
    with suppress(LookupError, ValueError):
        return float(calc_price(told, model, provider_id=whose.provider, genai_request_timestamp=when).total_price)
    if whose.url is not None:
        with suppress(LookupError, ValueError):
            return float(calc_price(told, model, provider_api_url=whose.url, genai_request_timestamp=when).total_price)
    return None


@cache
def _calculator() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """What prices tokens, and what they are told to it in. The first call loads the table."""
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    return calc_price, Tokens


@cache
def table() -> str:
    """The price table by name and version."""
    return f"genai-prices {importlib.metadata.version('genai-prices')}"
