"""How recall grows with what is remembered, as a picture: milliseconds over things, both on logarithmic scales."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.memory.speed import Measured

_LINES = (
    ("sqlite", "whole", "recall, SQLite", "#1f6feb", "o"),
    ("sqlite", "scan", "one product of numpy", "#6e7781", "s"),
    ("sqlite", "query", "one query of FTS5", "#bf8700", "D"),
    ("lancedb", "whole", "recall, LanceDB", "#8250df", "^"),
)


def draw(found: Sequence[Measured], path: Path) -> bool:
    """Write the picture as SVG; False where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    # Text stays text, and the same numbers give the same file.
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "memory", "font.size": 9.0}
    picture, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    for backend, field, label, colour, mark in _LINES:
        points = [(one.count, *getattr(one, field)) for one in found if one.backend == backend]
        if points:
            counts, middle, high = zip(*points, strict=True)
            axes.plot(counts, middle, color=colour, marker=mark, markersize=5, label=f"{label}, p50")
            axes.plot(counts, high, color=colour, linestyle=":", linewidth=1, label=f"{label}, p95")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("things that are remembered")
    axes.set_ylabel("milliseconds")
    axes.set_title("Recall of 20, from the question to what is told", loc="left", fontweight="bold")
    axes.grid(which="major", linewidth=0.5, alpha=0.4)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(path, metadata={"Date": None})
    pyplot.close(picture)
    return True
