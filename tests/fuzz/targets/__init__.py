"""All that is fuzzed, by name."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fuzz.target import Target
from tests.fuzz.targets import documents, sockets, streams, words

ALL = (*documents.TARGETS, *streams.TARGETS, *words.TARGETS, *sockets.TARGETS)
TARGETS: Mapping[str, Target] = {one.name: one for one in ALL}
