"""Spans and figures into OpenTelemetry's SDK, which sends them by threads of its own. Imported only where it is on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from engine import __version__
from engine.telemetry.span import Figure, Name, Span

logger = logging.getLogger(__name__)

SCOPE = "headway"
SCHEMA = "https://opentelemetry.io/schemas/1.45.0"
TIMEOUT_SECONDS = 10  #: for one request, its repetitions included
BATCH = 512  #: spans of one request
END_SECONDS = 3.0  #: that an engine which ends gives to what still waits
AWAY_SECONDS = 0.2  #: the same where the collector has not taken what came last
_MS = 1_000_000

#: Boundaries as the conventions say: of tokens, of seconds, of calls.
_TOKENS = [float(4**power) for power in range(14)]
_SECONDS = [0.1 * 2**power for power in range(18)]
_CALLS = [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]
_HISTOGRAMS = {
    "gen_ai.client.token.usage": ("{token}", _TOKENS),
    "gen_ai.client.operation.duration": ("s", _SECONDS),
    "gen_ai.invoke_agent.duration": ("s", _SECONDS),
    "gen_ai.invoke_agent.tool_calls": ("{call}", _CALLS),
    "gen_ai.execute_tool.duration": ("s", _SECONDS),
}
_COUNTERS = {"headway.attempts": "{attempt}", "headway.jobs": "{job}", "headway.cost": "{USD}"}


@dataclass(frozen=True, slots=True)
class Collector:
    """Where it goes, and how much may wait."""

    endpoint: str
    headers: Mapping[str, str]
    every_ms: int
    queue: int
    traces: bool
    metrics: bool
    home: str


class Sender:
    """Takes spans and figures, and never waits for anybody."""

    def __init__(self, to: Collector) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # what is wrong is said once, by `_Counted`
        resource = Resource.create(
            {"service.name": "headway", "service.version": __version__, "service.instance.id": to.home}
        )
        self._queue = to.queue
        self._given = 0
        self._ids = _Ids()
        self._counted = _Counted(_exporter(to, "traces"), to.endpoint) if to.traces else None
        self._tracer: trace.Tracer | None = None
        self._traces: TracerProvider | None = None
        if self._counted is not None:
            self._traces = TracerProvider(
                resource=resource,
                id_generator=self._ids,
                shutdown_on_exit=False,
                span_limits=SpanLimits(max_attribute_length=1_000),
            )
            self._traces.add_span_processor(
                BatchSpanProcessor(
                    self._counted,
                    max_queue_size=to.queue,
                    schedule_delay_millis=to.every_ms,
                    max_export_batch_size=min(BATCH, to.queue),
                    export_timeout_millis=TIMEOUT_SECONDS * 1000,
                )
            )
            self._tracer = self._traces.get_tracer(SCOPE, __version__, SCHEMA)
        self._metrics: MeterProvider | None = None
        self._histograms: dict[str, Histogram] = {}
        self._counters: dict[str, Counter] = {}
        if to.metrics:
            self._begin_metrics(to, resource)

    def _begin_metrics(self, to: Collector, resource: Resource) -> None:
        exporter = OTLPMetricExporter(
            f"{to.endpoint.rstrip('/')}/v1/metrics",
            headers=dict(to.headers),
            timeout=TIMEOUT_SECONDS,
            compression=Compression.Gzip,
        )
        reader = PeriodicExportingMetricReader(
            exporter, export_interval_millis=to.every_ms, export_timeout_millis=TIMEOUT_SECONDS * 1000
        )
        self._metrics = MeterProvider([reader], resource, shutdown_on_exit=False)
        meter = self._metrics.get_meter(SCOPE, __version__, SCHEMA)
        for name, (unit, bounds) in _HISTOGRAMS.items():
            self._histograms[name] = meter.create_histogram(name, unit, explicit_bucket_boundaries_advisory=bounds)
        for name, unit in _COUNTERS.items():
            self._counters[name] = meter.create_counter(name, unit)
        meter.create_observable_counter("headway.telemetry.dropped", [self._observe], "{span}")

    def _observe(self, options: CallbackOptions) -> Sequence[Observation]:
        return [Observation(self.dropped)]

    @property
    def dropped(self) -> int:
        """Spans that no collector has got."""
        return self._counted.dropped if self._counted is not None else 0

    def span(self, span: Span) -> None:
        """Take a span; where too many wait, it is dropped and counted."""
        if self._tracer is None or self._counted is None:
            return
        if self._given - self._counted.handled >= self._queue:
            self._counted.refused += 1
            return
        self._given += 1
        self._ids.next = span.name
        parent = trace.set_span_in_context(NonRecordingSpan(_context(span.parent))) if span.parent else None
        made = self._tracer.start_span(
            span.what,
            context=parent or Context(),
            kind=SpanKind.CLIENT if span.client else SpanKind.INTERNAL,
            attributes=span.attributes,
            links=[Link(_context(one)) for one in span.links],
            start_time=span.began * _MS,
        )
        if span.error is not None:
            made.set_status(Status(StatusCode.ERROR, span.error))
        made.end(max(span.began, span.ended) * _MS)

    def figure(self, figure: Figure) -> None:
        if (histogram := self._histograms.get(figure.instrument)) is not None:
            histogram.record(figure.value, figure.attributes)
        elif (counter := self._counters.get(figure.instrument)) is not None:
            counter.add(figure.value, figure.attributes)

    def close(self) -> None:
        """Send what waits, for a moment at most: nobody's end hangs on a collector."""
        closing = [one.shutdown for one in (self._traces, self._metrics) if one is not None]
        threads = [threading.Thread(target=one, daemon=True) for one in closing]
        for thread in threads:
            thread.start()
        away = self._counted is not None and not self._counted.well
        until = time.monotonic() + (AWAY_SECONDS if away else END_SECONDS)
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))


def _context(name: Name) -> SpanContext:
    return SpanContext(name.trace, name.span, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _exporter(to: Collector, signal: str) -> SpanExporter:
    return OTLPSpanExporter(
        f"{to.endpoint.rstrip('/')}/v1/{signal}",
        headers=dict(to.headers),
        timeout=TIMEOUT_SECONDS,
        compression=Compression.Gzip,
    )


class _Ids(IdGenerator):
    """Gives a span the name that it was drawn with."""

    def __init__(self) -> None:
        self.next = Name(1, 1)

    def generate_trace_id(self) -> int:
        return self.next.trace

    def generate_span_id(self) -> int:
        return self.next.span


class _Counted(SpanExporter):
    """Counts what another exporter could send and what not, and says once when that changes."""

    def __init__(self, inner: SpanExporter, endpoint: str) -> None:
        self._inner = inner
        self._endpoint = endpoint
        self.well = True
        self.handled = 0
        self.lost = 0
        self.refused = 0
        """Those that nobody has tried to send, because too many waited. Written by another thread than the rest."""

    @property
    def dropped(self) -> int:
        return self.lost + self.refused

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._inner.export(spans)
        finally:
            well = result is SpanExportResult.SUCCESS
            self.lost += 0 if well else len(spans)
            self.handled += len(spans)
            self._tell(well)
        return result

    def _tell(self, well: bool) -> None:
        if well is not self.well:
            self.well = well
            if well:
                logger.warning("telemetry: %s takes spans again; %d were dropped", self._endpoint, self.dropped)
            else:
                logger.warning("telemetry: %s does not take spans: they are dropped, and counted", self._endpoint)

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)
