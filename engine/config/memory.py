"""What headway.yaml says of memory: what is recalled, how it is weighed, and what is learned by itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, field

from engine.config import checks
from engine.config.keys import KeyReference
from engine.config.tap import LOOPBACK
from engine.documents import Complaint, nearest
from engine.model import Target
from engine.units import milliseconds

if TYPE_CHECKING:
    from engine.config.settings import Settings

Weight = Annotated[float, Meta(ge=0, le=1)]


class Learn(StrEnum):
    """What is remembered without being asked for."""

    OUTCOMES = "outcomes"
    """How jobs end, what hand-offs tell, and what was done to mend what failed."""


class Embedder(StrEnum):
    """What makes vectors."""

    AUTO = "auto"
    """wordllama where it is installed, else none."""
    NONE = "none"
    WORDLLAMA = "wordllama"
    MINILM = "minilm"
    ENDPOINT = "endpoint"
    """A server that speaks OpenAI's API of embeddings."""


class EndpointSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The server of embeddings."""

    base_url: Annotated[str, Meta(pattern="^https?://")]
    model: Annotated[str, Meta(min_length=1)]
    key: KeyReference | None = None
    dimensions: Annotated[int, Meta(ge=1, le=8_192)] | None = None
    """To be asked for, where the model can be cut."""


class Weights(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a thing that was found is scored: `engine.memory.scoring`. The defaults are what measured best."""

    text: Weight = 0.5
    vector: Weight = 0.5
    base: Weight = 0.80
    recency: Weight = 0.10
    importance: Weight = 0.05
    trust: Weight = 0.05
    half_life: str | int = "30d"
    due: Weight = 0.7
    """What is past the date by which it was to be verified is worth so much,"""
    superseded: Weight = 0.5
    """and what does not hold any more, or what a narrower scope knows better, so much."""
    neighbour: Weight = 0.3
    """Of the relevance of the pieces beside it, to a piece of a conversation."""

    @property
    def half_life_ms(self) -> int:
        return milliseconds(self.half_life)


class ExtractSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model that reads ended jobs and proposes what is worth remembering."""

    target: Annotated[str, Meta(min_length=1)]
    """Such as `llm:openai/gpt-5-mini`."""
    most: Annotated[int, Meta(ge=0, le=10_000)] = 50
    """Jobs that are read on one day, in UTC."""
    daily: Annotated[float, Meta(ge=0, le=10_000)] = 0.5
    """Dollars of one day, after which none is read."""
    budget: str | int | float = "$0.05"
    """What one reading may cost."""
    timeout: str | int = "5m"
    """And how long it may take."""


class MemorySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Memory. A project and an agent may have their own word on `recall`."""

    recall: bool = True
    """Jobs are told what is known."""
    budget: Annotated[int, Meta(ge=0, le=100_000)] = 1_500
    """What that may take of a job's prompt, about, in tokens; the core files come first, and are not cut for it."""
    most: Annotated[int, Meta(ge=1, le=200)] = 20
    """So many things of the archive at most."""
    least: Weight = 0.2
    """What scores less is not told."""
    pool: Annotated[int, Meta(ge=1, le=1_000)] = 50
    """Candidates by text, and as many by vector."""
    core_lines: Annotated[int, Meta(ge=0, le=1_000)] = 60
    """Of each core file."""
    learn: Learn | bool = False
    extract: ExtractSettings | None = None
    weights: Weights = field(default_factory=Weights)
    embedder: Embedder = Embedder.AUTO
    endpoint: EndpointSettings | None = None
    tokenizer: str | None = None
    """For `minilm`: the tokenizer.json of a BERT model, which its package leaves out."""

    @property
    def learns(self) -> bool:
        return bool(self.learn)


def told(settings: Settings, agent: str, project: str | None) -> bool:
    """Whether jobs of an agent in a project (a directory) are told what is known: the nearest word decides."""
    for one in settings.projects.values():
        if project is not None and one.directory == project and one.recall is not None:
            return one.recall
    own = settings.agent(agent).recall
    return own if own is not None else settings.memory.recall


def complaints(settings: Settings, agents: Collection[str]) -> Iterator[Complaint]:
    """What is wrong with it beyond the types."""
    memory = settings.memory
    if memory.learn is True:
        yield ("memory", "learn"), "say what: outcomes, or off"
    if memory.extract is not None:
        try:
            target = Target.parse(memory.extract.target)
        except ValueError as error:
            yield ("memory", "extract", "target"), str(error)
        else:
            if target.agent not in agents:
                yield (
                    ("memory", "extract", "target"),
                    f"there is no agent {target.agent!r}; {nearest(target.agent, agents)}",
                )
        yield from checks.spans(("memory", "extract"), memory.extract, "timeout")
    if memory.embedder is Embedder.ENDPOINT and memory.endpoint is None:
        yield ("memory", "embedder"), "endpoint needs memory.endpoint: {base_url: ..., model: ...}"
    if memory.embedder is Embedder.MINILM and memory.tokenizer is None:
        yield ("memory", "embedder"), "minilm needs memory.tokenizer: the path of a BERT model's tokenizer.json"
    if memory.tokenizer is not None and not checks.is_whole(memory.tokenizer):
        yield ("memory", "tokenizer"), "it has to be an absolute path, or begin with ~"
    wrong = list(checks.spans(("memory", "weights"), memory.weights, "half_life"))
    yield from wrong
    if not wrong and not memory.weights.half_life_ms:
        yield ("memory", "weights", "half_life"), "it has to be longer than nothing"
    if memory.endpoint is not None:
        yield from checks.key(("memory", "endpoint", "key"), memory.endpoint.key)
        at = checks.split_address(memory.endpoint.base_url)
        if at is None:
            yield ("memory", "endpoint", "base_url"), "it is no address; write https://HOST/v1"
        elif at.scheme == "http" and at.hostname not in LOOPBACK:
            why = "http:// would send the key, and what is remembered, over the network as it is: write https://"
            yield ("memory", "endpoint", "base_url"), why
    if not memory.weights.text and not memory.weights.vector:
        yield ("memory", "weights"), "text and vector cannot both be 0: nothing would be found"
