"""What a rehearsal agent plays: a scenario, read from YAML, as the script that `agent.py` takes."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta, Struct, field

from engine.documents import parse, text_of
from engine.errors import UsageError
from engine.paths import expanded
from engine.plain import plain_line

HERE = Path(__file__).parent
FILE_BYTES = 4 << 20  #: of a scenario

Milliseconds = Annotated[float, Meta(ge=0, le=86_400_000)]
Tokens = Annotated[int, Meta(ge=0, le=10_000_000)]
Words = Annotated[str, Meta(min_length=1)]
MODEL = "rehearsal-1"
Window = Literal["five_hour", "seven_day"]
Format = Literal["claude", "codex", "opencode", "gemini"]
FORMATS: tuple[Format, ...] = get_args(Format)
#: Those whose agents can be answered while they work.
ASKING: tuple[Format, ...] = ("claude",)


class Step(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="do"):
    """Base of the steps; `do` says which."""

    pause: Milliseconds = 0
    """Before the step: the model's own time."""
    tokens: Tokens | None = None
    """What the model's words cost; the agent's own guess otherwise."""


class Say(Step, frozen=True, tag="say"):
    text: Words


class Think(Step, frozen=True, tag="think"):
    text: Words


class Read(Step, frozen=True, tag="read"):
    path: Words


class Edit(Step, frozen=True, tag="edit"):
    """Replaces the first `find` of a file. Where there is none the tool reports an error, and the scenario goes on."""

    path: Words
    find: Words
    replace: str
    ask: bool = False
    """Wants a permission first. Where nobody can be asked, it is refused."""


class Write(Step, frozen=True, tag="write"):
    path: Words
    text: str
    ask: bool = False


class Run(Step, frozen=True, tag="run"):
    """Runs a shell command in the working directory."""

    command: Words
    about: str = ""
    timeout: Milliseconds = 120_000
    ask: bool = False


class Ask(Step, frozen=True, tag="ask"):
    """Asks the operator a question. Where nobody can be asked, the agent goes on without an answer."""

    text: Words
    options: list[Words] = field(default_factory=list)


class Deny(Step, frozen=True, tag="deny"):
    """Asks for a tool, which the permission mode refuses."""

    tool: Words
    input: dict[str, str] = field(default_factory=dict)
    text: Words = "This tool needs a permission that was not given."


class Retry(Step, frozen=True, tag="retry"):
    """Tries a call of the model again, each time after twice the delay."""

    times: Annotated[int, Meta(ge=1, le=300)] = 1
    delay: Milliseconds = 600
    status: Annotated[int, Meta(ge=400, le=599)] | None = 529
    """The HTTP status; null for a connection that broke."""
    error: Words = "overloaded"


class Limit(Step, frozen=True, tag="limit"):
    """Tells how much of a rate-limit window is used."""

    used: Annotated[float, Meta(ge=0, le=1)]
    window: Window = "five_hour"
    resets_in: Annotated[float, Meta(ge=0)] = 9_000
    """Seconds."""


class Compact(Step, frozen=True, tag="compact"):
    after: Tokens = 6_000
    takes: Milliseconds = 1_200


class Fail(Step, frozen=True, tag="fail"):
    """Ends the run. `refused` and `lost` come before its first line."""

    kind: Literal[
        "usage_limit", "rate_limit", "overloaded", "server", "connection", "auth", "billing", "context", "model",
        "max_turns", "max_budget", "crash", "exit", "hang", "refused", "lost",
    ]  # fmt: skip
    text: str = ""
    """Instead of the kind's own words."""
    window: Window = "five_hour"
    resets_in: Annotated[float, Meta(ge=0)] = 30
    """Seconds until a usage limit ends."""
    code: Annotated[int, Meta(ge=0, le=125)] = 1
    """The code of an `exit`."""
    signal: Annotated[int, Meta(ge=1, le=31)] = 9
    """The signal of a `crash`."""


AnyStep = Say | Think | Read | Edit | Write | Run | Ask | Deny | Retry | Limit | Compact | Fail


class Price(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Dollars for a million tokens."""

    input: float = 3.0
    output: float = 15.0
    cache_read: float = 0.3
    cache_write: float = 3.75


class Scenario(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    about: Words
    """One line: what is to be seen."""
    steps: Annotated[list[AnyStep], Meta(min_length=1)]
    resumed: list[AnyStep] = field(default_factory=list)
    """What is played instead where a conversation is resumed."""
    format: Format = "claude"
    """The agent that it stands in for, where nobody asks for another."""
    deaf: bool = False
    """Do not end on SIGTERM or an interrupt, as a real agent does that waits for its own installer."""
    project: bool = False
    """Lay the sample project into the working directory first, if that is empty."""
    model: Words = MODEL
    context: Tokens = 14_000
    """Tokens of the first call of the model."""
    price: Price = field(default_factory=Price)

    def __post_init__(self) -> None:
        for name, steps in (("steps", self.steps), ("resumed", self.resumed)):
            if steps and not isinstance(steps[-1], Say | Fail):
                raise ValueError(f"`{name}` must end with `say` or `fail`")
            if any(isinstance(step, Fail) and step.kind in ("refused", "lost") for step in steps[1:]):
                raise ValueError(f"`refused` and `lost` can only be the first of `{name}`")

    @property
    def seconds(self) -> float:
        """How long the steps pause at speed 1, without what their commands take."""
        waits = [step.pause for step in self.steps]
        waits += [step.delay * (2**step.times - 1) for step in self.steps if isinstance(step, Retry)]
        waits += [step.takes for step in self.steps if isinstance(step, Compact)]
        return sum(waits) / 1000


def names() -> list[str]:
    """The scenarios that come with Headway."""
    return sorted(path.stem for path in (HERE / "scenarios").glob("*.yaml"))


def find(name: str, base: Path) -> Scenario:
    """A scenario by its name, or by the path of a YAML file (a relative one starts at `base`).

    Either may stand behind a format, as `codex/fix-bug`. Raises `UsageError` where there is none, or it cannot be
    read, or cannot be played in that format.
    """
    format_, name = split(name)
    found = _found(name, base)
    if format_ is not None:
        found = msgspec.structs.replace(found, format=format_)
    _check_ends(found)
    _check_asks(found)
    return found


def told(name: str) -> tuple[Format | None, str]:
    """The format in which a scenario will be played and its model, as far as its name tells: no file is opened."""
    format_, name = split(name)
    packaged = _packaged(name) if name in names() else None
    return format_ or (packaged.format if packaged else None), packaged.model if packaged else MODEL


def split(name: str) -> tuple[Format | None, str]:
    """The format that a scenario was asked for in, if any, and its name or path.

    A directory that has the name of a format is told apart by a `./` before it.
    """
    first, slash, rest = name.partition("/")
    return next(((format_, rest) for format_ in FORMATS if slash and first == format_), (None, name))


def is_path(name: str) -> bool:
    """Whether a file is asked for, and none of those that come with Headway."""
    return _names_a_file(split(name)[1])


def _names_a_file(name: str) -> bool:
    return "/" in name or name.endswith((".yaml", ".yml"))


def _found(name: str, base: Path) -> Scenario:
    if _names_a_file(name):
        return read(base / expanded(name))
    known = names()
    if name in known:
        return _packaged(name)
    near = get_close_matches(name, known)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
    raise UsageError(f"no rehearsal scenario {name!r}: {hint}")


def read(path: Path) -> Scenario:
    """Raises `UsageError`, naming the file and the place in it."""
    try:
        return msgspec.convert(_load(path), Scenario)
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: {plain_line(_place(str(error)))}") from None


def script(scenario: Scenario) -> bytes:
    """The scenario as the JSON that the agent reads, with everything filled in."""
    files = project_files() if scenario.project else {}
    stream = _stream(scenario.format)
    return msgspec.json.encode({**msgspec.to_builtins(scenario), "files": files, "stream": stream})


@cache
def project_files() -> dict[str, str]:
    """The sample project: path -> text."""
    return msgspec.convert(_load(HERE / "project.yaml"), dict[str, str])


@cache
def _packaged(name: str) -> Scenario:
    return read(HERE / "scenarios" / f"{name}.yaml")


@cache
def _stream(format_: Format) -> dict[str, object]:
    """The unchanging parts of what an agent prints, and what it says of each kind of failure."""
    return msgspec.convert(_load(HERE / "streams" / f"{format_}.yaml"), dict[str, object])


#: Ends that any process can come to.
_ANYBODYS = frozenset({"crash", "exit", "hang", "refused", "lost"})


def _check_ends(scenario: Scenario) -> None:
    stream = _stream(scenario.format)
    own = {kind for name in ("failures", "own_failures") for kind in msgspec.convert(stream.get(name, {}), dict)}
    for step in (*scenario.steps, *scenario.resumed):
        if isinstance(step, Fail) and step.kind not in own | _ANYBODYS:
            raise UsageError(
                f"{scenario.format} never fails with {step.kind!r}; it does with {', '.join(sorted(own | _ANYBODYS))}"
            )


def _check_asks(scenario: Scenario) -> None:
    for step in (*scenario.steps, *scenario.resumed):
        asks = isinstance(step, Ask) or (isinstance(step, Edit | Write | Run) and step.ask)
        if asks and scenario.format not in ASKING:
            raise UsageError(f"{scenario.format} asks nothing while it works: only {', '.join(ASKING)} does")


def _load(path: Path) -> object:
    return parse(text_of(path, FILE_BYTES), str(path), object)


def _place(message: str) -> str:
    """msgspec's words with a place that a person counts: `$.steps[2].text` is the text of the third step."""

    def told(match: re.Match[str]) -> str:
        number = f"step {int(match[2]) + 1} of `{match[1]}`"
        return f"{number}, `{match[3]}`" if match[3] else number

    return re.sub(r"`\$\.(\w+)\[(\d+)\](?:\.(\w+))?`", told, message).replace("`$.", "`").replace(" - at `$`", "")
