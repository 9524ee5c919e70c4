"""Which family of models a target is of, so that work is read by another one than that which wrote it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from engine.model import Target

#: By what stands in a model's name: the first that fits. What is unknown is a family of its own name.
_MODELS = (
    ("anthropic", re.compile(r"claude|anthropic|\b(?:opus|sonnet|haiku)\b")),
    ("openai", re.compile(r"\bgpt|openai|codex|\bo[1345](?:\b|-)|davinci")),
    ("google", re.compile(r"gemini|gemma|google|\bpalm")),
    ("meta", re.compile(r"(?<!o)llama|\bmeta\b")),
    ("mistral", re.compile(r"mistral|mixtral|codestral|devstral|magistral")),
    ("alibaba", re.compile(r"qwen|qwq")),
    ("deepseek", re.compile(r"deepseek")),
    ("xai", re.compile(r"grok|\bxai\b")),
    ("moonshot", re.compile(r"kimi|moonshot")),
    ("zhipu", re.compile(r"\bglm|zhipu|z-?ai\b")),
)
_AGENTS = {"claude": "anthropic", "codex": "openai", "gemini": "google"}
#: A rehearsal is of the family that it plays.
_FORMATS = {"codex": "openai", "gemini": "google", "opencode": "opencode", "claude": "anthropic"}


def family(target: Target) -> str:
    """The family of a target's model; for an agent of one maker, that maker."""
    model = (target.model or "").lower()
    if target.agent == "rehearsal":
        return _FORMATS.get(model.split("/")[0], "anthropic")
    for name, pattern in _MODELS:
        if model and pattern.search(model):
            return name
    return _AGENTS.get(target.agent) or model.split("/")[0] or target.agent


def others(writer: Target, known: Iterable[Target], count: int, named: Sequence[Target] = ()) -> list[Target]:
    """So many targets of other families than the writer's, each of another one as far as there are such.

    `known`: in the order in which they are preferred. `named`: those that are chosen already. Fewer where there are
    no more.
    """
    own = family(writer)
    left = [one for one in dict.fromkeys(known) if family(one) != own and one not in named]
    chosen: list[Target] = []
    while left and len(chosen) < count:
        used = [family(one) for one in (*named, *chosen)]
        best = min(left, key=lambda one: used.count(family(one)))  # the first of those that are used least
        left.remove(best)
        chosen.append(best)
    return chosen
