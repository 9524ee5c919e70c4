"""From what somebody asks to what a text search looks for. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

MOST_TERMS = 24  #: of a question; a prompt may have thousands of words, and each one costs a look into the index
QUESTION_CHARACTERS = 4_000  #: of a prompt that are looked at: what it is about stands at its beginning

#: Words that say nothing of what a text is about. Kept in, they cost five points of evidence among the first ten.
STOP_WORDS = frozenset(
    """
    a about above after again all also am an and any are as at be because been before being below between both but by
    can could did do does doing done down during each etc few for from further get got had has have having he her here
    hers him his how i if in into is it its itself just let like make me more most must my no nor now of off on once
    only or other our out over own please same shall she should so some such than that the their them then there these
    they this those through to too under until up us use very was we were what when where which while who whom why
    will with would you your
    """.split()  # noqa: SIM905 - a list of words reads better as text
)
_WORD = re.compile(r"\w+", re.UNICODE)


def words_of(text: str) -> list[str]:
    """The words of a text as the index sees them, in lower case."""
    return _WORD.findall(text.lower())


def terms_of(question: str) -> list[str]:
    """What to look for: its words without those that say nothing, the most telling ones where there are many."""
    counted = Counter(word for word in words_of(question[:QUESTION_CHARACTERS]) if len(word) < 64)
    telling = {word: n for word, n in counted.items() if word not in STOP_WORDS} or dict(counted)
    order = {word: place for place, word in enumerate(telling)}
    chosen = sorted(telling, key=lambda word: (-_weight(word, telling[word]), order[word]))[:MOST_TERMS]
    return sorted(chosen, key=order.__getitem__)


def _weight(word: str, count: int) -> float:
    """Names with digits or underscores tell most, then what is said often, then long words."""
    named = any(sign.isdigit() or sign == "_" for sign in word)
    return 4.0 * named + min(count, 4) + min(len(word), 12) / 12


def fts5(terms: Iterable[str]) -> str:
    """Terms as an expression of FTS5: any of them."""
    return " OR ".join(f'"{term}"' for term in terms)
