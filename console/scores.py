"""The scoreboard as text: shares and medians with their intervals. Pure."""

from __future__ import annotations

from collections.abc import Callable

from console.format import clean_line, money, span
from engine.model import Comparison, Scoreboard, ScoreLine, Share, Typical

HEADS = ("TARGET", "KIND", "JOBS", "RIGHT AT FIRST", "IN THE END", "ROUNDS", "TOOK", "COST", "SPENT", "AFTER", "WON")

_NAMES = {"first": "right at first", "succeeded": "in the end", "took": "took", "cost": "cost"}


def share_text(share: Share | None) -> str:
    """`83% (66-93)`, of so many jobs at 95 %."""
    if share is None:
        return "-"
    return f"{share.value:.0%} ({share.low * 100:.0f}-{share.high * 100:.0f})"


def took_text(took: Typical | None) -> str:
    """`4m (3m-6m)`."""
    return _typical(took, span)


def cost_text(cost: Typical | None) -> str:
    """`$0.12 ($0.09-$0.17)`."""
    return _typical(cost, lambda micros: money(micros, digits=3))


def _typical(of: Typical | None, text: Callable[[int], str]) -> str:
    if of is None:
        return "-"
    if of.low is None or of.high is None:
        return text(of.value)
    return f"{text(of.value)} ({text(of.low)}-{text(of.high)})"


def cells(line: ScoreLine) -> tuple[str, ...]:
    """A line of the scoreboard, as its columns are headed in `HEADS`."""
    known = line.unpriced < line.jobs
    spent = (money(line.spent_micros, digits=2) + ("?" if line.unpriced else "")) if known else "-"
    return (
        clean_line(line.target), clean_line(line.kind or "-"), f"{line.jobs:,}", share_text(line.first),
        share_text(line.succeeded), f"{line.rounds:.1f}", took_text(line.took), cost_text(line.cost), spent,
        str(line.follow_ups or "-"), f"{line.wins}/{line.races}" if line.races else "-",
    )  # fmt: skip


def remarks(board: Scoreboard) -> list[str]:
    """What to know of a scoreboard."""
    began = sum(line.first.of for line in board.lines if line.first is not None)
    gated = sum(line.gated for line in board.lines)
    said = [
        f"right at first: one round, and nothing came after it. {gated:,} of {began:,} jobs were held against checks; "
        "of the others success is what the agent said. In brackets: 95 %",
    ]
    if any(line.unpriced for line in board.lines):
        said.append("?: of some jobs no cost is known")
    if board.waiting:
        said.append(f"{board.waiting:,} ended jobs are not counted yet: look again")
    return said


def compared_lines(found: Comparison) -> list[tuple[str, ...]]:
    """A kind, target by target: a row for each."""
    rows = []
    for one in found.targets:
        line, words = one.line, one.words
        told = [
            _with(share_text(line.first), words.get("first")),
            _with(share_text(line.succeeded), words.get("succeeded")),
            _with(took_text(line.took), words.get("took")),
            _with(cost_text(line.cost), words.get("cost")),
        ]
        rows.append(
            (clean_line(line.target), f"{line.jobs:,}", *told, f"{line.rounds:.1f}", str(line.follow_ups or "-"))
        )
    return rows


def verdict(found: Comparison) -> str:
    """What can be said of a kind, in a sentence."""
    told = [(measure, word, one.line.target) for one in found.targets for measure, word in one.words.items()]
    best = {measure for measure, word, _ in told if word == "best"}
    # Where one is the best of all, who comes last says nothing new.
    said = [
        f"{_NAMES[measure]}: {target} is {word}"
        for measure, word, target in told
        if word == "best" or measure not in best
    ]
    return "; ".join(said) if said else "no difference can be told: the intervals overlap"


def _with(text: str, word: str | None) -> str:
    return text if word is None else f"{text} {word}"
