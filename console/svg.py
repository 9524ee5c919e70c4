"""A screen as a picture that can be shown anywhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from textual.app import App

from engine.errors import HeadwayError, UsageError


def check_name(path: Path) -> None:
    """Raise `UsageError` for the name of another sort of file: a slip would write a picture over somebody's notes."""
    if path.suffix.lower() != ".svg":
        raise UsageError(f"{path}: a picture is an SVG, so give it a name that ends in .svg")


def save(app: App[Any], path: Path, title: str) -> None:
    """Save what the app shows as SVG. Raises `HeadwayError` where it cannot be written."""
    check_name(path)
    try:
        path.write_text(_without_fetches(app.export_screenshot(title=title)), encoding="utf-8")
    except OSError as error:
        raise HeadwayError(f"{path}: {error.strerror}") from None


def _without_fetches(svg: str) -> str:
    """A picture that asks no server for its font: the reader's own monospace has to do."""
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return svg.replace("font-family: Fira Code", "font-family: 'Fira Code', 'DejaVu Sans Mono', Menlo, Consolas")
