"""The steps of a Dockerfile, as far as ours uses its language. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

#: What a step may be; anything else is a mistake, of the file or of this reader.
WORDS = frozenset(
    {"FROM", "RUN", "COPY", "WORKDIR", "ENV", "USER", "VOLUME", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
)


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction, with its continued lines as one."""

    word: str
    rest: str


@dataclass(frozen=True, slots=True)
class Stage:
    """The steps from one FROM to the next."""

    base: str
    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Copy:
    """What a COPY takes, from where, and to where."""

    sources: tuple[str, ...]
    target: str
    stage: str | None = None


@dataclass(slots=True)
class Setup:
    """How things stand after some steps: what the next RUN, and in the end the container, starts with."""

    env: dict[str, str] = field(default_factory=dict)
    user: str = "root"
    directory: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    stop: str = "SIGTERM"

    def take(self, step: Step) -> bool:
        """Take a step that changes nothing but this; whether it was one."""
        match step.word:
            case "ENV":
                self.env |= {name: expanded(value, self.env) for name, value in pairs(step.rest)}
            case "USER":
                self.user = step.rest
            case "WORKDIR":
                self.directory = step.rest
            case "ENTRYPOINT":
                self.entrypoint = json.loads(step.rest)
            case "CMD":
                self.command = json.loads(step.rest)
            case "HEALTHCHECK":
                self.health = json.loads(step.rest.partition(" CMD ")[2])
            case "STOPSIGNAL":
                self.stop = step.rest
            case "VOLUME":
                pass
            case _:
                return False
        return True


def stages(text: str) -> list[Stage]:
    """Raises `ValueError` for a step that is not known here."""
    found: list[Stage] = []
    for step in _steps(text):
        if step.word == "FROM":
            base, _, name = step.rest.partition(" AS ")
            found.append(Stage(base, name or str(len(found)), ()))
        elif not found:
            raise ValueError(f"{step.word} stands before the first FROM")
        else:
            last = found[-1]
            found[-1] = Stage(last.base, last.name, (*last.steps, step))
    return found


def _steps(text: str) -> Iterator[Step]:
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", " ", lines).splitlines():
        if not line.strip():
            continue
        word, _, rest = line.strip().partition(" ")
        if word not in WORDS:
            raise ValueError(f"{word} is no step that is known here")
        yield Step(word, rest.strip())


def copy(step: Step) -> Copy:
    words = shlex.split(step.rest)
    stage = None
    if words[0].startswith("--from="):
        stage = words.pop(0).partition("=")[2]
    if any(word.startswith("--") for word in words):
        raise ValueError(f"COPY {step.rest}: an option that is not known here")
    return Copy(tuple(words[:-1]), words[-1], stage)


def pairs(text: str) -> list[tuple[str, str]]:
    """`A=b C=d` as an ENV has it."""
    return [(name, value) for name, _, value in (word.partition("=") for word in shlex.split(text))]


def expanded(value: str, env: Mapping[str, str]) -> str:
    """With `$NAME` replaced by what stands in the environment so far."""
    return re.sub(r"\$\{?(\w+)\}?", lambda found: env.get(found[1], ""), value)
