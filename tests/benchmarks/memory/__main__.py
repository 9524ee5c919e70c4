"""Measure how well memory finds and how fast: tables on standard output and as markdown, with a picture of the growth.

`make bench-memory` runs it, with LanceDB up to 10,000 things; `make bench-memory ARGS=--full` with both up to 230,000,
which took twenty minutes on two busy cores. Without LanceDB installed its rows are left out, and it says so.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import msgspec

from engine.config import Weights
from engine.memory.archive import Archive
from engine.memory.store import Backend
from tests.benchmarks.memory import figure, held, quality, sets
from tests.benchmarks.memory.quality import Found, Search, by, filled, measured, vectors_alone, words_alone
from tests.benchmarks.memory.sets import MadeSet
from tests.benchmarks.memory.speed import Measured
from tests.benchmarks.queue import machine
from tests.benchmarks.queue.table import Section, as_markdown, as_text

SIZES = (1_000, 10_000, 100_000, 230_000)
QUICK = (1_000, 10_000)
WEIGHTS = Weights()
MOST_QUESTIONS = 500
PACKAGES = ("numpy", "wordllama", "lancedb")


def main() -> None:
    asked = _arguments()
    begun = time.monotonic()
    backends = [one for one in Backend if one is Backend.SQLITE or find_spec("lancedb") is not None]
    speeds = [one for backend in backends for one in _speeds(backend, _sizes(backend, asked))]
    sections = [
        _speed_table(speeds),
        _quality_table(backends),
        _stale_table(backends),
        _held_table(backends),
        _ablation_table(),
        _explained(),
    ]
    sections.insert(0, _goals(speeds, sections))
    facts = machine.facts(Path("/var/tmp")) | {"packages": machine.installed(PACKAGES)}
    if len(backends) == len(Backend) and not asked.full:
        facts["lancedb"] = f"up to {QUICK[-1]:,} things; --full measures all sizes"
    if len(backends) < len(Backend):
        facts["without lancedb"] = "it is not installed; the `lancedb` extra has it"
    facts["took"] = f"{time.monotonic() - begun:.0f} s in all"
    print("\n".join(f"{name}: {value}" for name, value in facts.items()))
    print("\n" + "\n\n".join(map(as_text, sections)))
    asked.markdown.parent.mkdir(parents=True, exist_ok=True)
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    asked.markdown.write_text(f"{listed}\n\n" + "\n".join(map(as_markdown, sections)), encoding="utf-8")
    drawn = figure.draw(speeds, asked.figure)
    print(f"\nwritten: {asked.markdown}{f', {asked.figure}' if drawn else '; no picture: matplotlib is not installed'}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.memory", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="up to 10,000 things")
    parser.add_argument("--full", action="store_true", help="LanceDB with all sizes too")
    parser.add_argument("--markdown", type=Path, default=Path("build/bench/memory.md"), metavar="FILE")
    parser.add_argument("--figure", type=Path, default=Path("build/bench/memory-growth.svg"), metavar="FILE")
    return parser.parse_args()


# ---- how fast


def _sizes(backend: Backend, asked: argparse.Namespace) -> Sequence[int]:
    """LanceDB reads over all vectors for each question: its large sizes take most of the time there is."""
    bounded = asked.quick or (backend is not Backend.SQLITE and not asked.full)
    return QUICK if bounded else SIZES


def _speeds(backend: Backend, sizes: Sequence[int]) -> list[Measured]:
    """In a process of its own, so that its memory is that of one backend."""
    command = [sys.executable, "-m", "tests.benchmarks.memory.speed", str(backend), *map(str, sizes)]
    found = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout or ():
            found.append(msgspec.json.decode(line, type=Measured))
            print(f"{backend}, {found[-1].count:,}: {found[-1].whole[0]:.1f} ms", file=sys.stderr)
    if running.returncode:
        sys.exit(f"the measurement of {backend} failed")
    return found


def _speed_table(speeds: Sequence[Measured]) -> Section:
    head = [
        "backend", "things", "recall of 20, ms p50 / p95", "of one job's scopes", "bare numpy", "bare FTS5",
        "p95 to both", "write /s", "on disk", "memory", "of it before",
    ]  # fmt: skip
    rows = [
        [
            one.backend,
            f"{one.count:,}",
            _pair(one.whole),
            _pair(one.job),
            _pair(one.scan) if one.scan[0] else "-",
            _pair(one.query) if one.query[0] else "-",
            f"{one.ratio:.2f}" if one.scan[0] else "-",
            f"{one.written / one.write_seconds:,.0f}",
            f"{one.bytes / 1e6:.0f} MB",
            f"{one.rss / 1e6:.0f} MB",
            f"{one.rss_before / 1e6:.0f} MB",
        ]
        for one in speeds
    ]
    return Section("How fast: things of 40 words over a vocabulary as common as a language's", head, rows)


def _pair(times: tuple[float, float]) -> str:
    return f"{times[0]:.1f} / {times[1]:.1f}"


# ---- how well


def _quality_table(backends: Sequence[Backend]) -> Section:
    rows = []
    for name, made in (("notes on what mended what", sets.runbook(2)), ("Python's own docstrings", sets.docstrings())):
        for backend in backends:
            rows += _rows(name, made, backend)
    head = ["set", "backend", "found by", "first, %", "among ten, %"]
    return Section("How well: importance, age and trust are noise here", head, rows)


def _rows(name: str, made: MadeSet, backend: Backend) -> list[list[str]]:
    ways: dict[str, Callable[[Archive], Search]] = {
        "words alone": words_alone,
        "vectors alone": vectors_alone,
        "both: relevance alone": lambda archive: by(archive, quality.PLAIN),
        "both: the whole score": lambda archive: by(archive, WEIGHTS),
    }
    with filled(made, backend) as archive:
        found = {way: measured(search(archive), made.questions[:MOST_QUESTIONS]) for way, search in ways.items()}
    title = f"{name} ({len(made.items):,})"
    return [[title, str(backend), way, _share(one.first), _share(one.ten)] for way, one in found.items()]


def _stale_table(backends: Sequence[Backend]) -> Section:
    head = ["backend", "known to be superseded", "found by", "current first, %", "old first, %"]
    rows = []
    for backend in backends:
        for flagged in (False, True):
            made = sets.staleness(flagged=flagged)
            with filled(made, backend) as archive:
                for way, search in (
                    ("words alone", words_alone(archive)),
                    ("vectors alone", vectors_alone(archive)),
                    ("relevance and standing", by(archive, quality.FLAGGED)),
                    ("the whole score", by(archive, WEIGHTS)),
                ):
                    found = measured(search, made.questions)
                    known = "yes" if flagged else "no"
                    rows.append([str(backend), known, way, _share(found.first), _share(found.wrong)])
    return Section("What holds: 360 facts, each contradicted by a newer one", head, rows)


def _held_table(backends: Sequence[Backend]) -> Section:
    """Sets by which nothing was chosen: see `held`."""
    rows = []
    for backend in backends:
        rows += [[*row, ""] for row in _rows("held back: notes of a warehouse", held.notes(), backend)]
        for flagged in (True, False):
            made = held.stale(flagged=flagged)
            name = f"held back: what holds, {'known' if flagged else 'unknown'} ({len(made.items):,})"
            with filled(made, backend) as archive:
                for way, search in (
                    ("vectors alone", vectors_alone(archive)),
                    ("the whole score", by(archive, WEIGHTS)),
                ):
                    found = measured(search, made.questions)
                    rows.append([name, str(backend), way, *map(_share, (found.first, found.ten, found.wrong))])
    head = ["set", "backend", "found by", "first, %", "among ten, %", "old first, %"]
    return Section("On sets that were held back", head, rows)


def _ablation_table() -> Section:
    given: list[tuple[str, MadeSet, Callable[[Found], float]]] = [
        ("notes, among ten", sets.runbook(2), lambda found: found.ten),
        ("current first", sets.staleness(flagged=True), lambda found: found.first),
        ("current first, unknown", sets.staleness(flagged=False), lambda found: found.first),
        ("conversations, among ten", sets.transcripts(), lambda found: found.ten),
    ]
    names = list(quality.ablations(WEIGHTS))
    cells: dict[str, list[str]] = {name: [] for name in names}
    for _, made, told in given:
        with filled(made) as archive:
            for name, weights in quality.ablations(WEIGHTS).items():
                cells[name].append(_share(told(measured(by(archive, weights), made.questions))))
    head = ["the score", *(f"{name}, %" for name, _, _ in given)]
    return Section("Without each of its terms (SQLite)", head, [[name, *cells[name]] for name in names])


def _share(value: float) -> str:
    return f"{value * 100:.1f}"


def _explained() -> Section:
    """What `headway memory explain` shows for one question."""
    from engine.memory.recall import search

    made = sets.staleness(flagged=True)
    question = made.questions[0].text
    with filled(made) as archive:
        found = search(archive, question, (), 5, sets.NOW)
    head = ["nr", "score", "relevance", "words", "meaning", "modulation", "recency", "importance", "trust", "standing",
            "why", "text"]  # fmt: skip
    rows = []
    for one in found.parts:
        terms = one.terms
        numbers = (
            terms.score, terms.relevance, terms.text, terms.vector or 0.0, terms.modulation, terms.recency,
            terms.importance, terms.trust, terms.standing,
        )  # fmt: skip
        rows.append([str(one.item.id), *(f"{each:.3f}" for each in numbers), terms.why or "holds", one.item.text])
    return Section(f"Explained: {question}", head, rows)


# ---- what was wanted


def _goals(speeds: Sequence[Measured], sections: Sequence[Section]) -> Section:
    _, quality_, stale, held_back, *_ = sections
    largest = max((one for one in speeds if one.scan[0]), key=lambda one: one.count)
    rows = [
        [f"recall from {largest.count:,}: p95 to both bare halves", "3 at most", f"{largest.ratio:.2f}",
         _met(largest.ratio <= 3)],
    ]  # fmt: skip
    both = [*quality_.rows, *(row for row in held_back.rows if "notes" in row[0])]
    for start in range(0, len(both), 4):
        words, vectors, plain, whole = (float(row[4]) for row in both[start : start + 4])
        name = f"{both[start][0]}, {both[start][1]}"
        rows.append(
            [f"{name}: both above either half, among ten", f"> {max(words, vectors):.1f}", f"{plain:.1f}",
             _met(plain > max(words, vectors))]
        )  # fmt: skip
        rows.append(
            [f"{name}: the whole score to relevance alone", f"{plain - 1:.1f} or more", f"{whole:.1f}",
             _met(whole >= plain - 1)]
        )  # fmt: skip
    rows += [
        [f"current first, {row[0]}", "90 or more", row[3], _met(float(row[3]) >= 90)]
        for row in stale.rows
        if row[1] == "yes" and row[2] == "the whole score"
    ]
    rows += [
        [f"{row[0]}, {row[1]}: current first", "90 or more", row[3], _met(float(row[3]) >= 90)]
        for row in held_back.rows
        if ", known" in row[0] and row[2] == "the whole score"
    ]
    return Section("What was wanted", ["goal", "wanted", "measured", "met"], rows)


def _met(met: bool) -> str:
    return "yes" if met else "NO"


if __name__ == "__main__":
    main()
