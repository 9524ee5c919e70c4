"""A server that speaks OpenAI's API of embeddings (`POST /embeddings`): a provider's, or one of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import httpx
import msgspec
from msgspec import Struct

from engine.config import EndpointSettings
from engine.foreign import NOT_JSON
from engine.memory.embedding import names
from engine.memory.embedding.embedder import EmbeddingError
from engine.memory.embedding.unit import unit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SECONDS = 20.0  #: for one batch: a job waits for it before it starts
AT_ONCE = 64  #: texts of one request


class _One(Struct):
    embedding: list[float]
    index: int = 0


class _Answer(Struct):
    data: list[_One]


class Endpoint:
    """`embed` raises `EmbeddingError` for a server that does not answer, or not with vectors."""

    def __init__(self, settings: EndpointSettings, key: str | None) -> None:
        self._settings = settings
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(timeout=SECONDS, headers=headers)
        self.model = names.endpoint(settings)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        rows: list[list[float]] = []
        for at in range(0, len(texts), AT_ONCE):
            rows += self._some(texts[at : at + AT_ONCE])
        if len({len(row) for row in rows}) > 1:
            raise EmbeddingError(f"no vectors: {self._settings.base_url} answered with vectors of several lengths")
        return unit(np.array(rows, dtype=np.float32).reshape(len(rows), -1))

    def _some(self, texts: Sequence[str]) -> list[list[float]]:
        where = f"{self._settings.base_url.rstrip('/')}/embeddings"
        # An empty input is refused by most of them.
        body: dict[str, object] = {"model": self._settings.model, "input": [text or " " for text in texts]}
        if self._settings.dimensions:
            body["dimensions"] = self._settings.dimensions
        try:
            answer = self._http.post(where, json=body)
        except httpx.HTTPError as error:
            raise EmbeddingError(f"no vectors: {where} does not answer: {error or type(error).__name__}") from None
        if answer.is_error:
            raise EmbeddingError(f"no vectors: {where} answered {answer.status_code}")
        try:
            told = msgspec.json.decode(answer.content, type=_Answer)
        except NOT_JSON:
            raise EmbeddingError(f"no vectors: {where} answered with something else than vectors") from None
        found = sorted(told.data, key=lambda one: one.index)
        if len(found) != len(texts) or not all(one.embedding for one in found):
            raise EmbeddingError(f"no vectors: {where} answered {len(found)} vectors for {len(texts)} texts")
        return [one.embedding for one in found]
