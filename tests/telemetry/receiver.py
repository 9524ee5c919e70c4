"""A collector on the loopback that takes OTLP over HTTP and reads it with OpenTelemetry's own protobuf types."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.conftest import PATIENCE


@dataclass
class Receiver:
    """What came. `status` is what it answers."""

    endpoint: str = ""
    status: int = 200
    spans: list[Span] = field(default_factory=list)
    metrics: dict[str, Metric] = field(default_factory=dict)
    """By name, as they were told last."""
    resources: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        body = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        with self.news:
            self.headers.append(headers)
            self.raw.append(body)
            if self.status == 200 and path == "/v1/traces":
                for spans in ExportTraceServiceRequest.FromString(body).resource_spans:
                    self.resources.append(said(spans.resource.attributes))
                    self.spans += [one for scope in spans.scope_spans for one in scope.spans]
            elif self.status == 200 and path == "/v1/metrics":
                for told in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                    self.metrics |= {one.name: one for scope in told.scope_metrics for one in scope.metrics}
            self.news.notify_all()

    def until(self, check: Any) -> None:
        """Wait until something holds of what came."""
        with self.news:
            assert self.news.wait_for(check, PATIENCE), [one.name for one in self.spans]

    def named(self, name: str) -> list[Span]:
        return [one for one in self.spans if one.name == name]


def said(attributes: Iterator[KeyValue] | Any) -> dict[str, Any]:
    """Attributes as Python has them."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A collector that listens."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(receiver.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.endpoint = f"http://127.0.0.1:{server.server_port}"
    serving = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    serving.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
