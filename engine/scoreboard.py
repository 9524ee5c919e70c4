"""How targets do at each kind of job, and what can be said of one against another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple

from engine.clock import now_ms
from engine.config import Settings
from engine.documents import nearest
from engine.errors import UsageError
from engine.interval import share, typical
from engine.model import Compared, Comparison, Scoreboard, ScoreLine, Target, Typical
from engine.orders import directories
from engine.store import Store, board, scores
from engine.store.board import Line
from engine.store.reader import DAY_MS
from engine.store.scores import Sums
from engine.units import milliseconds

ROUNDS = 10  #: transactions of one look, in which it counts what has ended since the one before
SAMPLES = 5  #: of a median, before anything is said of it: few that are alike by chance look surer than they are
LEAST = 2  #: targets that a kind needs, for anything to be compared

#: What is compared: the interval of a line, and whether more of it is better.
Interval = tuple[float, float]
MEASURES: dict[str, tuple[bool, Callable[[ScoreLine], Interval | None]]] = {
    "first": (True, lambda line: (line.first.low, line.first.high) if line.first is not None else None),
    "succeeded": (True, lambda line: (line.succeeded.low, line.succeeded.high)),
    "took": (False, lambda line: _interval(line.took)),
    "cost": (False, lambda line: _interval(line.cost)),
}
DEPTHS = ("agent", "model", "account")


class Scores:
    """One for an engine."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    async def board(
        self, kind: str | None = None, project: str | None = None, since: str | None = None, by: str = "model"
    ) -> Scoreboard:
        """The board of the days since a span ago. `by`: how much of a target is told apart. Raises `UsageError`."""
        if by not in DEPTHS:
            raise UsageError(f"by: there is no {by!r}; {nearest(by, DEPTHS)}")
        depth = DEPTHS.index(by) + 1
        found, waiting = await self._read(kind, project, since)
        lines = _merged(found, lambda line: _name(line, depth))
        return Scoreboard(lines=sorted(lines, key=lambda line: (-line.jobs, line.target)), waiting=waiting)

    async def compare(
        self, targets: Sequence[str], kind: str | None, project: str | None, since: str | None
    ) -> list[Comparison]:
        """Targets side by side, at the kinds that two of them or more have done. Raises `UsageError`."""
        named = [Target.parse(text) for text in dict.fromkeys(targets)]
        if len(named) < LEAST:
            raise UsageError("compare needs two targets or more: headway compare claude codex")
        found, _ = await self._read(kind, project, since)

        def name(line: Line) -> str | None:
            """The narrowest of the targets that a line is of."""
            fits = [one for one in named if _is_of(line, one)]
            return str(max(fits, key=lambda one: (one.model is not None, one.account is not None))) if fits else None

        lines = _merged(found, name)
        kinds: dict[str | None, list[ScoreLine]] = {}
        for line in lines:
            kinds.setdefault(line.kind, []).append(line)
        order = [str(one) for one in named]
        return [
            Comparison(kind=of, targets=compared(sorted(some, key=lambda line: order.index(line.target))))
            for of, some in sorted(kinds.items(), key=lambda item: (-sum(one.jobs for one in item[1]), item[0] or ""))
            if len(some) >= LEAST
        ]

    async def rebuild(self) -> Scoreboard:
        """Make the sums anew from all jobs that are there."""
        await self._store.write(scores.rebuild)
        return await self.board()

    async def _read(self, kind: str | None, project: str | None, since: str | None) -> tuple[list[Line], int]:
        for _ in range(ROUNDS):
            if await self._store.write(scores.fold) < scores.FOLD:
                break
        try:
            span = None if since is None else milliseconds(since)
        except ValueError as error:
            raise UsageError(f"since: {error}") from None
        first = 0 if span is None else max(0, now_ms() - span)
        place = directories(self._settings).get(project or "", project)
        return await self._store.look(
            lambda tx: (board.board(tx, first - first % DAY_MS, kind, place), scores.waiting(tx))
        )


def compared(lines: Sequence[ScoreLine]) -> list[Compared]:
    """Lines of one kind, each with the words that its intervals bear."""
    words: list[dict[str, str]] = [{} for _ in lines]
    for measure, (more, interval) in MEASURES.items():
        spans = [(place, span) for place, line in enumerate(lines) if (span := interval(line)) is not None]
        if len(spans) < LEAST:
            continue
        for place, (low, high) in spans:
            others = [span for other, span in spans if other != place]
            if all(high < other for other, _ in others):
                words[place][measure] = "worst" if more else "best"
            elif all(low > other for _, other in others):
                words[place][measure] = "best" if more else "worst"
    return [Compared(line=line, words=said) for line, said in zip(lines, words, strict=True)]


def _merged(found: Iterable[Line], name: Callable[[Line], str | None]) -> list[ScoreLine]:
    sums: dict[tuple[str, str], Sums] = {}
    for line in found:
        if (target := name(line)) is not None:
            before = sums.get((target, line.kind), Sums())
            added = (a + b for a, b in zip(astuple(before), astuple(line.sums), strict=True))
            sums[target, line.kind] = Sums(*added)
    return [_line(target, kind or None, one) for (target, kind), one in sums.items()]


def _line(target: str, kind: str | None, sums: Sums) -> ScoreLine:
    return ScoreLine(
        target=target,
        kind=kind,
        jobs=sums.jobs,
        first=share(sums.first, sums.began) if sums.began else None,
        gated=sums.gated,
        succeeded=share(sums.succeeded, sums.jobs),
        rounds=round(sums.rounds / sums.jobs, 3),
        took=typical(sums.succeeded, sums.ln_ms, sums.ln_ms_2),
        cost=typical(sums.priced, sums.ln_cost, sums.ln_cost_2),
        spent_micros=sums.cost,
        unpriced=sums.unpriced,
        follow_ups=sums.follow_ups,
        races=sums.raced,
        wins=sums.won,
    )


def _name(line: Line, depth: int) -> str:
    model = line.model if depth > 1 else ""
    account = line.account if depth > 2 else ""
    return str(Target(line.agent, model or None, account or None))


def _is_of(line: Line, target: Target) -> bool:
    return line.agent == target.agent and target.model in (None, line.model) and target.account in (None, line.account)


def _interval(of: Typical | None) -> Interval | None:
    if of is None or of.samples < SAMPLES or of.low is None or of.high is None:
        return None
    return of.low, of.high
