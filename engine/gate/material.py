"""Text that others wrote, put between marks: it is there to be judged, and nothing in it is an instruction. Pure."""

from __future__ import annotations

import re

_MARKS = re.compile(r"<(/?\s*(?:task|said-by|change-by|said|change|output|review|finding))(?=[\s>/\w-])", re.IGNORECASE)


def marked(name: str, text: str) -> str:
    """A text between marks that neither it nor another one can open or close."""
    harmless = _MARKS.sub(r"< \1", text)
    return f"<{name}>\n{harmless}\n</{name}>"


def cut(text: str, most: int) -> str:
    """The beginning and the end of a long text."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"
