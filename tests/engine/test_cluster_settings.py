"""What headway.yaml may say of a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.agents.registry import read_settings
from engine.documents import DocumentError


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("cluster: {}", "one of the two"),
        ("cluster: {start: true, address: 'h:1'}", "one of the two"),
        ("cluster: {address: nowhere}", "HOST:PORT"),
        ("cluster: {start: true, host: 10.0.0.5}", "needs tls"),
        ("cluster: {address: 'h:1', targets: {clade: {}}}", "did you mean 'claude'"),
        ("cluster: {address: 'h:1', targets: {claude: {resources: {memory: 3}}}}", "key of its own"),
        ("cluster: {address: 'h:1', targets: {claude: {resources: {gpu: 1.5}}}}", "whole number"),
        ("cluster: {address: 'h:1', targets: {claude: {memory: much}}}", "no size"),
        ("cluster: {address: 'h:1', lost_after: soon}", "no span"),
        ("cluster: {address: 'h:1', token_file: token}", "absolute path"),
        ("cluster: {address: 'h:1', tls: {cert: /c, key: k, ca: /a}}", "absolute path"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "headway.yaml"
    file.write_text(text)
    with pytest.raises(DocumentError, match=why):
        read_settings(file)


@pytest.mark.parametrize("text", ["cluster: {start: true}", "cluster: {address: 'h:1', targets: {shell: {}}}"])
def test_what_is_right_is_taken(tmp_path: Path, text: str) -> None:
    file = tmp_path / "headway.yaml"
    file.write_text(text)
    assert read_settings(file).cluster is not None
