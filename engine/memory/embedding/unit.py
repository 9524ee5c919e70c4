"""Vectors of length 1, so that their product is the cosine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row by its length; what has none, or is not finite, becomes zeros."""
    rows = np.where(np.isfinite(rows), rows, np.float32(0))
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    whole: NDArray[np.float32] = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return whole
