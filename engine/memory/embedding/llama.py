"""wordllama: static vectors of 256 numbers, 16 MB of weights inside its wheel, thousands of texts a second, offline."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.memory.embedding.embedder import EmbeddingError, missing
from engine.memory.embedding.names import LLAMA
from engine.memory.embedding.unit import unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Llama:
    """Raises `RefusedError` where wordllama is not installed, `EmbeddingError` where its weights are not there."""

    model = LLAMA

    def __init__(self) -> None:
        self._model = _load()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        # A text without a known word becomes zeros here; wordllama's own norm would divide by them.
        return unit(np.asarray(self._model.embed(list(texts), norm=False), dtype=np.float32))


def _load() -> Any:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        import wordllama
    except ImportError:
        raise missing("wordllama", "memory") from None
    finally:
        # Its import sets up logging for the whole process, and would send every note of every library to the screen.
        root.handlers[:], root.level = handlers, level
        logging.getLogger("wordllama").setLevel(logging.WARNING)
    try:
        # It looks for its tokenizer in `tokenizer/`, ships it in `tokenizers/`, and would download what it has: the
        # folder of the package as its cache is where it finds both.
        return wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    except Exception as error:
        raise EmbeddingError(f"no vectors: wordllama does not load: {type(error).__name__}: {error}") from error
