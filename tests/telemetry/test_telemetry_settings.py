"""What headway.yaml may say of telemetry, and what is said of that."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import Settings, load_settings
from engine.config import telemetry as section
from engine.documents import DocumentError


def read(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "headway.yaml"
    file.write_text(text)
    return load_settings(file, ["claude"])


def test_it_is_off_until_an_endpoint_is_named(tmp_path: Path) -> None:
    assert read(tmp_path, "{}").telemetry.endpoint is None
    said = read(tmp_path, "telemetry: {endpoint: 'https://otel.example', headers: {x-key: {env: OTEL_KEY}}}").telemetry
    assert said.endpoint == "https://otel.example" and said.headers["x-key"].env == "OTEL_KEY"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("endpoint: 127.0.0.1:4318", "it is no address"),
        ("endpoint: 'http://u:p@host'", "a key belongs under headers:"),
        ("endpoint: 'http://host:4318/v1/traces'", "name the collector alone"),
        ("{endpoint: 'http://host:4318', headers: {a: {env: X}}}", "over the network as they are: write https://"),
        ("{headers: {a: {env: X}}}", "without it nothing is sent"),
        ("{endpoint: 'https://host', headers: {'a b': {env: X}}}", "'a b' is no name of a header"),
        ("{endpoint: 'https://host', headers: {a: {env: sk-x}}}", "the key itself does not belong here"),
        ("{endpoint: 'https://host', every: soon}", "soon"),
        ("{endpont: 'https://host'}", "did you mean 'endpoint'"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(DocumentError) as error:
        read(tmp_path, f"telemetry: {text}" if text.startswith("{") else f"telemetry: {{{text}}}")
    assert told in str(error.value)


def test_an_extra_that_is_not_there_is_said_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(section, "find_spec", lambda name: None)
    with pytest.raises(DocumentError, match=r"pip install 'headway\[otel\]'"):
        read(tmp_path, "telemetry: {endpoint: 'http://127.0.0.1:4318'}")
