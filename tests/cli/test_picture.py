"""The name that a picture is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.picture import picture, read_size
from console.svg import check_name
from engine.errors import UsageError
from engine.server.client import Client


@pytest.mark.parametrize("name", ["x.txt", "notes.md", "svg", ".svg", "a.svg.bak", "headway.yaml", ".."])
async def test_a_picture_takes_no_other_files_name(name: str, tmp_path: Path) -> None:
    """Said before anything is drawn: no engine serves this home."""
    with pytest.raises(UsageError, match=r"ends in \.svg"):
        await picture(Client(tmp_path), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["x.svg", "X.SVG", "a.b.svg"])
def test_an_svg_is_one(name: str) -> None:
    check_name(Path(name))


@pytest.mark.parametrize("size", ["²x3", "12", "x", "0x5", "501x10", "9" * 5_000 + "x1", "-1x5"])
def test_a_size_that_is_none_is_said(size: str) -> None:
    with pytest.raises(UsageError, match="write it as COLSxROWS"):
        read_size(size)
