"""YAML that people write -> typed values. Every mistake is told at once, with file, line, key and the nearest word.

msgspec decides what is valid. Only where it says no is the document walked again, to find each value that is wrong and
to put something harmless in its place: what is read then can still be asked what else is wrong with it.
"""

from engine.documents.door import Bounds, NotYamlError, compose
from engine.documents.file import read_input, text_of
from engine.documents.mistakes import Complaint, DocumentError, Keys, Mistake, nearest
from engine.documents.reading import Reading, examine, parse

__all__ = [
    "Bounds",
    "Complaint",
    "DocumentError",
    "Keys",
    "Mistake",
    "NotYamlError",
    "Reading",
    "compose",
    "examine",
    "nearest",
    "parse",
    "read_input",
    "text_of",
]
