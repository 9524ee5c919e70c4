"""What one claude process spent: every result's own part once, and what no result has counted yet."""

from __future__ import annotations

from msgspec import UNSET

from engine.agents.claude_lines import ApiUsage, Message, ModelUsage, ResultLine
from engine.agents.lines import decode
from engine.model import Grade, Usage


class Account:
    """Adds up the results of one process.

    `model_usage_since_last_result` is what a result adds, in a resumed session too. Versions that do not print it
    keep `modelUsage` by process, so there the difference to the result before counts. `total_cost_usd` is never
    used: it grows over resumes and forks.
    """

    def __init__(self) -> None:
        self._spent: dict[str, Usage] = {}
        self._totals: dict[str, ModelUsage] = {}
        self._open: dict[str, tuple[str, ApiUsage]] = {}

    def message(self, message: Message) -> ApiUsage | None:
        """Note a model call by its message's id: it comes once for each block, and a result will count it."""
        usage = decode(message.usage, ApiUsage)
        if usage is not None and message.id and message.model:
            self._open[message.id] = (message.model, usage)
        return usage

    def result(self, result: ResultLine) -> tuple[Usage, ...]:
        """What this result adds, one usage for each model."""
        self._open.clear()
        totals = decode(result.model_usage, dict[str, ModelUsage]) or {}
        if result.model_usage_since_last_result is UNSET:
            parts = [_usage(model, total, self._totals.get(model)) for model, total in totals.items()]
        else:
            own = decode(result.model_usage_since_last_result, dict[str, ModelUsage]) or {}
            parts = [_usage(model, part, None) for model, part in own.items()]
        self._totals = totals
        for part in parts:
            before = self._spent.get(part.model)
            self._spent[part.model] = part if before is None else _sum(before, part)
        return tuple(parts)

    def window(self, model: str | None) -> int | None:
        """What the context of a model holds, in tokens, as the last result told it."""
        found = self._totals.get(model or "")
        return found.context_window if found is not None else None

    def spent(self) -> tuple[Usage, ...]:
        """Everything so far. Calls that no result counted, as of a killed run, have tokens and no price."""
        total = dict(self._spent)
        for model, usage in self._open.values():
            part = Usage(
                model=model,
                input_tokens=usage.input_tokens or 0,
                output_tokens=usage.output_tokens or 0,
                cache_read_tokens=usage.cache_read_input_tokens or 0,
                cache_write_tokens=usage.cache_creation_input_tokens or 0,
            )
            total[model] = _sum(total[model], part) if model in total else part
        return tuple(total.values())


def _usage(model: str, now: ModelUsage, before: ModelUsage | None) -> Usage:
    old = before or ModelUsage()
    cost = None if now.cost_usd is None else round(max(0.0, now.cost_usd - (old.cost_usd or 0.0)) * 1_000_000)
    return Usage(
        model=model,
        input_tokens=_rest(now.input_tokens, old.input_tokens),
        output_tokens=_rest(now.output_tokens, old.output_tokens),
        cache_read_tokens=_rest(now.cache_read_input_tokens, old.cache_read_input_tokens),
        cache_write_tokens=_rest(now.cache_creation_input_tokens, old.cache_creation_input_tokens),
        cost_micros=cost,
        grade=Grade.UNKNOWN if cost is None else Grade.REPORTED,
    )


def _rest(now: int | None, before: int | None) -> int:
    return max(0, (now or 0) - (before or 0))


def _sum(one: Usage, other: Usage) -> Usage:
    costs = [usage.cost_micros for usage in (one, other) if usage.cost_micros is not None]
    grades = list(Grade)
    return Usage(
        model=one.model,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cache_read_tokens=one.cache_read_tokens + other.cache_read_tokens,
        cache_write_tokens=one.cache_write_tokens + other.cache_write_tokens,
        cost_micros=sum(costs) if costs else None,
        grade=max(one.grade, other.grade, key=grades.index),
    )
