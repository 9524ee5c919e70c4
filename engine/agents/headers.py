"""The rate limits in the headers of a provider's answer, whoever's agent asked for it. Pure.

Sources: docs.anthropic.com and platform.openai.com, "Rate limits"; what Claude Code 2.1 and Codex 0.169 parse of the
answers to subscriptions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from engine.agents.events import Limit
from engine.agents.lines import millis
from engine.agents.llm import limits
from engine.window import UNNAMED

NEARLY = 0.9  #: the used share of a window from which on it warns, where its provider does not say
#: Anthropic's windows of a subscription, as its headers shorten them.
_UNIFIED = {"5h": "five_hour", "7d": "seven_day", "7d_oi": "seven_day_overage_included"}
_STATUS = {"allowed": "allowed", "allowed_warning": "warning", "rejected": "rejected"}
_CODEX_NAMES = {300: "five_hour", 10_080: "seven_day"}


def limits_in(headers: Mapping[str, str], now: int, *, refused: bool, model: str = "") -> list[Limit]:
    """What an answer tells of windows. `refused`: it is one of status 429; `model`: the one that was asked.

    Windows of requests and tokens are the model's own, those of a subscription are the account's.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    # What is said outright counts first: Anthropic's reset is that of the whole window, and one request fits in before.
    again = limits.retry_at(lower, {}, now) if refused else None
    counted = []
    for one in limits.windows(lower, now):
        resets_at = again if again is not None and one.remaining == 0 else one.resets_at
        counted.append(of_counts(one.name, one.limit, one.remaining, resets_at, model, refused=refused))
    found = [*_unified(lower, now, refused=refused), *_codex(lower, refused=refused), *counted]
    if refused and not any(one.status == "rejected" for one in found):
        found.append(Limit(UNNAMED, "rejected", None, again, model=model, signal="status 429"))
    return found


def of_counts(
    name: str, limit: int | None, remaining: int | None, resets_at: int | None, model: str, *, refused: bool
) -> Limit:
    """A window that is told by how much of how many is left."""
    used = None
    if limit and remaining is not None:
        used = min(1.0, max(0.0, 1 - remaining / limit))
    status = "allowed"
    if refused and remaining == 0:
        status = "rejected"
    elif used is not None and used >= NEARLY:
        status = "warning"
    return Limit(name, status, used, resets_at, model=model, signal="headers")


def _unified(headers: Mapping[str, str], now: int, *, refused: bool) -> list[Limit]:
    start = "anthropic-ratelimit-unified-"
    whole = headers.get(f"{start}status")
    if whole is None:
        return []
    serves = not refused and whole != "rejected"
    found = []
    for short, name in _UNIFIED.items():
        used = _number(headers.get(f"{start}{short}-utilization"))
        status = _STATUS.get(headers.get(f"{start}{short}-status", ""))
        if used is None and status is None:
            continue
        status = status or "allowed"
        if serves and status == "rejected":
            status = "warning"  # paid for beyond the window
        resets_at = limits.shifted(millis(_number(headers.get(f"{start}{short}-reset"))), headers, now)
        found.append(Limit(name, status, None if used is None else min(1.0, used), resets_at, signal="unified headers"))
    claim = headers.get(f"{start}representative-claim", "")
    if not serves and not any(one.status == "rejected" for one in found) and claim:
        resets_at = limits.shifted(millis(_number(headers.get(f"{start}reset"))), headers, now)
        family = claim.removeprefix("seven_day_") if claim in ("seven_day_opus", "seven_day_sonnet") else ""
        found.append(Limit(claim, "rejected", None, resets_at, model=family, signal="unified headers"))
    return found


def _codex(headers: Mapping[str, str], *, refused: bool) -> list[Limit]:
    paid = "true" in (headers.get("x-codex-credits-has-credits", ""), headers.get("x-codex-credits-unlimited", ""))
    found = []
    for which in ("primary", "secondary"):
        used = _number(headers.get(f"x-codex-{which}-used-percent"))
        if used is None:
            continue
        minutes = _number(headers.get(f"x-codex-{which}-window-minutes")) or 0
        name = _CODEX_NAMES.get(round(minutes) if minutes < 1e6 else 0, f"{minutes:.0f}_minutes")
        full = used >= 100 and not (paid and not refused)
        later = _number(headers.get(f"x-codex-{which}-reset-after-seconds"))
        found.append(
            Limit(
                name,
                "rejected" if full else "warning" if used >= 100 * NEARLY else "allowed",
                min(1.0, used / 100),
                millis(_number(headers.get(f"x-codex-{which}-reset-at"))),
                round(later * 1_000) if later is not None and later < 1e9 else None,
                round(minutes * 60_000) if 0 < minutes < 1e6 else None,
                signal="x-codex headers",
            )
        )
    return found


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(r"\d{1,15}(?:\.\d{1,15})?", text.strip()) else None
