"""Where the secrets in a text stand. One scan, by an automaton over all gates and all pieces of what is known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

from ahocorasick_rs import BytesAhoCorasick, Implementation

from engine.redact.forms import Form
from engine.redact.shapes import SHAPES, Shape

Span = tuple[int, int]

_BACKSLASH = ord("\\")
_ESCAPES = b'nrtbfu"\\/'  #: what can follow one in JSON


class Finder:
    """Finds these known secrets and whatever looks like a key. Never changes, so that any thread may use it."""

    def __init__(self, known: Iterable[Form] = ()) -> None:
        self._known = tuple(known)

    @cached_property
    def _scan(self) -> tuple[BytesAhoCorasick, list[tuple[list[Shape], list[tuple[Form, int]]]]]:
        """The automaton, and what each of its needles is a sign of."""
        signs: dict[bytes, tuple[list[Shape], list[tuple[Form, int]]]] = defaultdict(lambda: ([], []))
        for shape in SHAPES:
            for gate in shape.gates:
                signs[gate.encode()][0].append(shape)
        for form in self._known:
            for at, piece in form.pieces():
                signs[piece][1].append((form, at))
        return BytesAhoCorasick(list(signs), implementation=Implementation.DFA), list(signs.values())

    def spans(self, data: bytes) -> list[Span]:
        """Where secrets stand, in order, none within another."""
        automaton, signs = self._scan
        hits = automaton.find_matches_as_indexes(data, overlapping=True)
        if not hits:
            return []
        found: set[Span] = set()
        over: dict[Form, int] = {}  # a form is looked for once in a place, and not again for each of its pieces
        for needle, start, _ in hits:
            shapes, forms = signs[needle]
            for shape in shapes:
                if (span := shape.span(data, start)) is not None:
                    found.add(span)
            for form, at in forms:
                begin = max(0, start - form.room(at), over.get(form, 0))
                end = start + form.room(len(form.data) - at)
                for one in form.pattern.finditer(data, begin, end):
                    found.add((_begin(data, one.start()), one.end()))
                    over[form] = one.end()
        return _apart(found)


def _begin(data: bytes, start: int) -> int:
    """Where to begin so that no backslash is left without what it escapes: of `\\n` the n may be a secret's first."""
    before = start
    while before and data[before - 1] == _BACKSLASH:
        before -= 1
    return start - 1 if (start - before) % 2 and data[start] in _ESCAPES else start


def _apart(found: Iterable[Span]) -> list[Span]:
    """Those that overlap as one."""
    apart: list[Span] = []
    for start, end in sorted(found):
        if apart and start < apart[-1][1]:
            apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
        else:
            apart.append((start, end))
    return apart
