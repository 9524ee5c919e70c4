"""What headway.yaml says of telemetry: where traces and metrics go. Where no endpoint is named, nothing is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct, field

from engine.config import checks
from engine.config.keys import KeyReference
from engine.config.tap import LOOPBACK
from engine.documents import Complaint

if TYPE_CHECKING:
    from engine.config.settings import Settings


class TelemetrySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """OpenTelemetry, by OTLP over HTTP. Off where no endpoint is named."""

    endpoint: str | None = None
    """A collector's address, as `http://127.0.0.1:4318`; `/v1/traces` and `/v1/metrics` come behind it."""
    headers: dict[str, KeyReference] = field(default_factory=dict)
    """Sent with each request: name -> where its value is kept."""
    traces: bool = True
    metrics: bool = True
    every: str | int = "15s"
    """So long is gathered before it is sent."""
    queue: Annotated[int, Meta(ge=64, le=65_536)] = 2_048
    """Spans that wait for the collector. What is more is dropped, and counted."""


def complaints(settings: Settings) -> Iterator[Complaint]:
    """What is wrong with it beyond the types."""
    said, keys = settings.telemetry, ("telemetry",)
    yield from checks.spans(keys, said, "every")
    for name, reference in said.headers.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_|~-]+", name):
            yield (*keys, "headers"), f"{name!r} is no name of a header"
        yield from checks.key((*keys, "headers", name), reference)
    if said.endpoint is None:
        if said.headers:
            yield (*keys, "endpoint"), "without it nothing is sent: write http://127.0.0.1:4318, or remove headers"
        return
    if why := _refused(said.endpoint, with_key=bool(said.headers)):
        yield (*keys, "endpoint"), why
    elif not installed():
        yield (*keys, "endpoint"), "OpenTelemetry is not installed where the engine runs: pip install 'headway[otel]'"


def installed() -> bool:
    """Whether the extra is there."""
    return find_spec("opentelemetry") is not None and find_spec("opentelemetry.exporter") is not None


def _refused(url: str, *, with_key: bool) -> str:
    at = checks.split_address(url)
    if at is None or not url.isascii() or not url.isprintable():
        return "it is no address; write http://HOST:4318"
    if at.query or at.fragment or at.username or at.password or " " in url:
        return "it has to be the address alone; a key belongs under headers:"
    if at.path.rstrip("/").endswith(("/v1/traces", "/v1/metrics")):
        return "name the collector alone: /v1/traces and /v1/metrics are put behind it"
    if with_key and at.scheme == "http" and at.hostname not in LOOPBACK:
        return "http:// would send the headers over the network as they are: write https://"
    return ""
