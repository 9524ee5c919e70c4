"""What one claude process spent: each message by its id, and what its results have beyond the messages."""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import replace

from engine.agents.claude_lines import (
    ApiUsage,
    CacheCreation,
    Message,
    ModelUsage,
    OutputDetails,
    ResultLine,
)
from engine.agents.lines import decode, moment
from engine.agents.tally import Tally
from engine.model import Grade, Usage
from engine.money import Entry, less


class Account:
    """Adds up the messages and the results of one process.

    `model_usage_since_last_result` is what a result adds, in a resumed session too. Versions that do not print it
    keep `modelUsage` by process, so there the difference to the result before counts. `total_cost_usd` is never
    used: it grows over resumes and forks. What it prints of a message tells the output only as it was at its start, so
    that this is not final before a result has counted it, or claude's own file of the session says the rest.
    """

    def __init__(self) -> None:
        self._tally = Tally()
        self._totals: dict[str, ModelUsage] = {}
        self._models: set[str] = set()
        self._newest: tuple[Message, ApiUsage | None, bool] | None = None

    def message(self, message: Message, timestamp: str | None = None, *, final: bool = False) -> ApiUsage | None:
        """Note a model call by its message's id: it comes once for each block, and a result will count it.

        `final`: its output is told to its end.
        """
        before, told, was_final = self._newest or (None, None, False)
        if before is not None and was_final is final and _same(before, message):
            return told  # another block of it
        told = decode(message.usage, ApiUsage)
        self._newest = message, told, final
        if told is not None and message.id and message.model:
            self._models.add(message.model)
            self._tally.message(message.id, used(message.model, told), final=final, at=moment(timestamp))
        return told

    def result(self, result: ResultLine) -> tuple[Usage, ...]:
        """What this result adds, one usage for each model."""
        totals = decode(result.model_usage, dict[str, ModelUsage]) or {}
        if result.model_usage_since_last_result is UNSET:
            parts = [self._usage(model, total, self._totals.get(model)) for model, total in totals.items()]
        else:
            own = decode(result.model_usage_since_last_result, dict[str, ModelUsage]) or {}
            parts = [self._usage(model, part, None) for model, part in own.items()]
        self._totals = totals
        self._tally.total(parts)
        return tuple(parts)

    def window(self, model: str | None) -> int | None:
        """What the context of a model holds, in tokens, as the last result told it."""
        found = self._totals.get(model or "")
        return found.context_window if found is not None else None

    def spent(self) -> tuple[Usage, ...]:
        """Everything so far. Calls that no result counted, as of a killed run, have tokens and no price."""
        return self._tally.usage

    @property
    def entries(self) -> tuple[Entry, ...]:
        return self._tally.entries

    def fresh(self) -> list[Entry]:
        """Those that are new or have changed since the last time."""
        return self._tally.fresh()

    def _usage(self, key: str, now: ModelUsage, before: ModelUsage | None) -> Usage:
        """A total goes by the name that the messages go by, so that it counts them and nothing twice."""
        canonical = now.canonical_model
        model = canonical if key not in self._models and canonical in self._models and canonical else key
        told = _told(model, now)
        if before is None:
            return told
        old = _told(model, before)
        rest = less(told, old)
        rest = replace(
            rest, **{name: max(0, getattr(rest, name)) for name in rest.__struct_fields__ if "tokens" in name}
        )
        cost = None if told.cost_micros is None else max(0, told.cost_micros - (old.cost_micros or 0))
        return replace(rest, cost_micros=cost)


def used(model: str, told: ApiUsage) -> Usage:
    """What the API says of one message. `output_tokens` has the thoughts in it."""
    kept = decode(told.cache_creation, CacheCreation) or CacheCreation()
    details = decode(told.output_tokens_details, OutputDetails) or OutputDetails()
    return Usage(
        model=model,
        input_tokens=told.input_tokens or 0,
        output_tokens=told.output_tokens or 0,
        cache_read_tokens=told.cache_read_input_tokens or 0,
        cache_write_tokens=told.cache_creation_input_tokens or 0,
        cache_write_1h_tokens=kept.ephemeral_1h_input_tokens or 0,
        reasoning_tokens=details.thinking_tokens or 0,
    )


def _told(model: str, one: ModelUsage) -> Usage:
    cost = None if one.cost_usd is None else round(one.cost_usd * 1_000_000)
    return Usage(
        model=model,
        input_tokens=one.input_tokens or 0,
        output_tokens=one.output_tokens or 0,
        cache_read_tokens=one.cache_read_input_tokens or 0,
        cache_write_tokens=one.cache_creation_input_tokens or 0,
        cache_write_1h_tokens=one.one_hour or 0,
        reasoning_tokens=one.thinking_tokens or 0,
        cost_micros=cost,
        grade=Grade.UNKNOWN if cost is None else Grade.REPORTED,
    )


def _same(one: Message, other: Message) -> bool:
    return one.id is not None and one.id == other.id and one.model == other.model and one.usage == other.usage
