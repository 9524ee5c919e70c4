"""All that is fuzzed, by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fuzz.target import Target
from tests.fuzz.targets import documents, streams, words

TARGETS: Mapping[str, Target] = {one.name: one for one in (*documents.TARGETS, *streams.TARGETS, *words.TARGETS)}
