"""Jobs that tell of themselves: real shell commands, each of which writes down when it began and when it ended.

While one runs, it and all that it starts hold a lock of their job in the kernel. An attempt that finds it taken says
so: then two ran at once.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.model import JobSpec, OnFailure

#: What a job does after it has said that it began, and what its spec says of it. All of them would end by themselves in
#: the end, so that a test which fails leaves nothing behind for ever.
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "quick": (":", {}),
    "short": ("sleep 0.0{n}", {}),
    "longer": ("sleep 0.{n}", {}),
    "refuses": ("exit 3", {}),
    "dies": ("kill -9 $$", {}),
    "dies-but-may": ("kill -9 $$", {"repeatable": True}),
    "leaves-things": ("setsid sleep 600 & (setsid sh -c 'sleep 600 & sleep 600' &)", {}),
    "stubborn": ("trap '' TERM; for n in $(seq 500); do sleep 0.2; done", {"timeout": "400ms"}),
    "overruns": ("sleep 600 & sleep 600", {"timeout": "150ms"}),
    "overruns-but-may": ("sleep 600", {"timeout": "150ms", "repeatable": True}),
    "polite": ("trap 'exit 0' TERM; for n in $(seq 2000); do sleep 0.05; done", {"timeout": "150ms"}),
    "late": ("sleep 600", {"deadline": "700ms"}),
    "endless": ("sleep 600", {}),
}
#: How many of each there are in a hundred; the rest are quick.
SHARES = {
    "short": 22, "longer": 14, "refuses": 8, "dies": 5, "dies-but-may": 4, "leaves-things": 5, "stubborn": 3,
    "overruns": 6, "overruns-but-may": 3, "polite": 6, "late": 3, "endless": 2,
}  # fmt: skip
#: How an attempt may fail that began, whatever becomes of the engine; all others come to their end or are cancelled.
FAILS = {
    "refuses": "unknown", "dies": "crashed", "dies-but-may": "crashed", "late": "timeout", "stubborn": "timeout",
    "overruns": "timeout", "overruns-but-may": "timeout", "polite": "timeout",
}  # fmt: skip
WORKTREE_SHARE = 0.06


@dataclass(slots=True)
class Lines:
    """What the attempts wrote."""

    started: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Title -> the attempts that began, by their marker."""
    ended: Counter[str] = field(default_factory=Counter)
    """Marker -> how often it came to its end."""
    twice: list[str] = field(default_factory=list)
    """Those that found another attempt of their job at work."""


@dataclass(slots=True)
class Work:
    """Makes jobs whose titles are all different, and reads what they wrote."""

    place: Path
    repository: Path
    rng: random.Random
    made: int = 0

    def prepare(self) -> None:
        (self.place / "locks").mkdir(parents=True)
        (self.place / "lines").touch()

    def job(self, **more: Any) -> JobSpec:
        """Any of the sorts, with a title that says which."""
        sort = self.rng.choices([*SHARES, "quick"], [*SHARES.values(), 100 - sum(SHARES.values())])[0]
        self.made += 1
        title = f"{sort} {self.made}"
        about: dict[str, Any] = {**BODIES[sort][1]}
        if self.rng.random() < WORKTREE_SHARE and sort in ("quick", "short", "refuses"):
            about["project"] = str(self.repository)
        if self.rng.random() < 0.1:
            about["tags"] = ["some"]
        if self.rng.random() < 0.1:
            about["on_failure"] = self.rng.choice(list(OnFailure))
        about |= {"agent": "shell", "priority": self.rng.randrange(10), **more}
        return JobSpec(prompt=self.command(title, sort), title=title, **about)

    def command(self, title: str, sort: str) -> str:
        lock, lines = self.place / "locks" / title.replace(" ", "-"), self.place / "lines"
        body = BODIES[sort][0].format(n=self.rng.randrange(1, 6))
        said = f'"{{}} $HEADWAY_ATTEMPT {title}" >>{lines}'
        return "\n".join((
            f"exec 9>>{lock}; flock -n 9 || echo {said.format('twice')}",
            f"echo {said.format('start')}",
            f"[ -f a.txt ] && date +%N >>a.txt\n{body}",
            f"echo {said.format('end')}",
        ))  # fmt: skip

    def read(self) -> Lines:
        found = Lines()
        for line in (self.place / "lines").read_text().splitlines():
            what, marker, title = line.split(" ", 2)
            if what == "start":
                found.started[title].append(marker)
            elif what == "end":
                found.ended[marker] += 1
            else:
                found.twice.append(line)
        return found


def sort_of(title: str) -> str:
    return title.split(" ")[0]
