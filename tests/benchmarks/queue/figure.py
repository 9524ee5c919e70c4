"""How the systems fare as the database grows, as a picture: rates over rows, both on logarithmic scales."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.queue.goals import OURS
from tests.benchmarks.queue.measure import Results, Summary
from tests.benchmarks.queue.plan import Plan
from tests.benchmarks.queue.systems import System, Work

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = (("Durable submit, 64 submitters", Work.TOGETHER), ("Claim and settle", Work.CYCLE))
_OURS_COLOUR = "#1f6feb"
_COLOURS = ("#6e7781", "#24292f", "#bf8700", "#8250df", "#cf222e")  #: told apart by their labels as well
_MARKS = "osD^vP"


def draw(plan: Plan, results: Results, kinds: Sequence[type[System]], path: Path) -> bool:
    """Write the picture as SVG; False where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    # Text stays text, and the same numbers give the same file.
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "queue", "font.size": 9.0}
    picture, panels = pyplot.subplots(1, len(_PANELS), figsize=(11, 4.6), layout="constrained")
    for axes, (title, work) in zip(panels, _PANELS, strict=True):
        _panel(axes, plan, results, kinds, work)
        axes.set_title(title, loc="left", fontweight="bold")
    panels[0].set_ylabel("jobs a second")
    handles, labels = panels[1].get_legend_handles_labels()
    picture.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(path, metadata={"Date": None})
    pyplot.close(picture)
    return True


def _panel(axes: Axes, plan: Plan, results: Results, kinds: Sequence[type[System]], work: Work) -> None:
    """A line over the sizes with finished jobs; beside it, apart, the point where all jobs are pending."""
    growing = [size for size in plan.sizes if size.finished]
    pending = [size for size in plan.sizes if not size.finished]
    others = iter(zip(_COLOURS, _MARKS[1:], strict=True))
    for kind in kinds:
        colour, mark = (_OURS_COLOUR, _MARKS[0]) if kind.name == OURS else next(others)
        # One connection that commits job by job is as fast for 64 submitters as for one.
        its = work if work in kind.works else Work.SINGLE
        points = [
            (n, found) for n, size in enumerate(growing) if (found := results.rate(kind.name, its, size)) is not None
        ]
        if len(points) == 1 and not kind.keeps_finished:
            points = [(n, points[0][1]) for n in range(len(growing))]
        style: dict[str, Any] = {
            "color": colour,
            "marker": mark,
            "markersize": 5,
            "linewidth": 2.4 if kind.name == OURS else 1.2,
        }
        _plot(axes, points, label=kind.name, **style)
        apart = [
            (len(growing) + n, found)
            for n, size in enumerate(pending)
            if (found := results.rate(kind.name, its, size)) is not None
        ]
        _plot(axes, apart, **(style | {"linestyle": "none"}))
    axes.set_yscale("log")
    axes.set_xticks(range(len(growing) + len(pending)))
    axes.set_xticklabels([*(f"{size.label}\nfinished" for size in growing), *(_split(s.label) for s in pending)])
    axes.grid(axis="y", which="major", linewidth=0.5, alpha=0.4)
    axes.spines[["top", "right"]].set_visible(False)


def _plot(axes: Axes, points: Sequence[tuple[int, Summary]], **style: Any) -> None:
    if not points:
        return
    middle = [found.middle for _, found in points]
    low = [found.middle - found.low for _, found in points]
    high = [found.high - found.middle for _, found in points]
    axes.errorbar([n for n, _ in points], middle, yerr=[low, high], capsize=2, elinewidth=0.8, **style)


def _split(label: str) -> str:
    number, _, word = label.rpartition(" ")
    return f"{number}\n{word}"
