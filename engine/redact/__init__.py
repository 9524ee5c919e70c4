"""Secrets out of what is written down, shown and sent: known ones by their values, others by what keys look like."""

from engine.redact.masking import REACH, Masker
from engine.redact.secrets import MARK, SHORTEST, Filter, Secrets, is_key, is_secret, out_of_shapes, unkeyed

__all__ = [
    "MARK", "REACH", "SHORTEST", "Filter", "Masker", "Secrets", "is_key", "is_secret", "out_of_shapes", "unkeyed",
]  # fmt: skip
