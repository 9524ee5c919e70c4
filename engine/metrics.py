"""What a monitoring system reads: counters and gauges in the text format of Prometheus.

Names and units follow https://prometheus.io/docs/practices/naming/: base units, `_total` for what only grows.
Counters begin at zero with each engine; gauges are what the database says at the moment of the question.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from engine.model import Breaker, Cap, Status
from engine.money import SpendLine
from engine.pulse import Pulse
from engine.tally import Tally
from engine.window import Standing, WindowState

_SHARES = (0.5, 0.99, 1.0)
_STATES = ("blocked", "ready", "running", "gating", "succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that is told, read in one go."""

    status: Status
    tally: Tally
    windows: Sequence[WindowState]
    breakers: Sequence[Breaker]
    caps: Sequence[Cap]
    spent: Sequence[SpendLine]
    """Since midnight, by target."""
    database_bytes: int
    subscribers: int
    pulse: Pulse


def exposition(reading: Reading) -> bytes:
    """The whole answer of `/metrics`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Fixed([*_engine(reading), *_jobs(reading), *_weather(reading), *_money(reading)]))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Fixed(Collector):
    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _gauge(name: str, what: str, values: Iterable[tuple[Sequence[str], float]], labels: Sequence[str] = ()) -> Metric:
    metric = GaugeMetricFamily(f"headway_{name}", what, labels=labels)
    for label, value in values:
        metric.add_metric(label, value)
    return metric


def _counter(name: str, what: str, values: Iterable[tuple[Sequence[str], float]], labels: Sequence[str] = ()) -> Metric:
    metric = CounterMetricFamily(f"headway_{name}", what, labels=labels)
    for label, value in values:
        metric.add_metric(label, value)
    return metric


def _engine(reading: Reading) -> Iterator[Metric]:
    status = reading.status
    yield InfoMetricFamily("headway_build", "The engine that answers.", value={"version": status.version})
    yield _gauge("start_time_seconds", "When this engine started.", [((), status.started_at / 1000)])
    yield _gauge("draining", "1 while nothing new is started because the engine drains.", [((), status.draining)])
    yield _gauge("held", "1 while the operator holds everything.", [((), status.held_all is not None)])
    yield _gauge("event_seq", "The newest event of the log.", [((), status.seq)])
    yield _gauge("subscribers", "Consoles and other readers of the event stream.", [((), reading.subscribers)])
    yield _gauge("database_bytes", "Size of the database with its journal.", [((), reading.database_bytes)])
    lags = [((str(share),), reading.pulse.lag(share)) for share in _SHARES]
    what = "How late the event loop was, over the newest pauses of what follows the agents' output."
    yield _gauge("loop_lag_seconds", what, lags, ["quantile"])
    events = [((kind,), n) for kind, n in sorted(reading.tally.events.items())]
    if (dropped := reading.tally.spans_dropped) is not None:
        yield _counter("telemetry_spans_dropped", "Spans that the collector has not got.", [((), dropped())])
    yield _counter("events", "Events that were committed.", events, ["event"])


def _jobs(reading: Reading) -> Iterator[Metric]:
    counts, status = reading.status.counts, reading.status
    states = [((state,), getattr(counts, state)) for state in _STATES]
    yield _gauge("jobs", "Jobs by state.", states, ["state"])
    yield _gauge("jobs_held", "Unfinished jobs under a hold.", [((), counts.held)])
    yield _gauge("cards_open", "Decisions that wait for the operator.", [((), status.cards)])
    yield _gauge("slots", "Attempts that may run at once.", [((), status.slots)])
    capped = [((cap.scope,), cap.running) for cap in reading.caps]
    yield _gauge("scope_running", "Attempts that run in a scope that has a cap.", capped, ["scope"])
    limits = [((cap.scope,), cap.limit) for cap in reading.caps if cap.limit is not None]
    yield _gauge("scope_limit", "Attempts that may run at once in a scope.", limits, ["scope"])
    endings = [((outcome,), n) for outcome, n in sorted(reading.tally.endings.items())]
    yield _counter("attempts_ended", "Attempts that ended, by how.", endings, ["outcome"])


def _weather(reading: Reading) -> Iterator[Metric]:
    labels = ["account", "window", "model"]
    windows = [((one.account, one.window, one.model), one) for one in reading.windows]
    used = [(label, one.used) for label, one in windows if one.used is not None]
    yield _gauge("window_used_ratio", "Share of a rate-limit window that is used.", used, labels)
    closed = [(label, one.standing is Standing.CLOSED) for label, one in windows]
    yield _gauge("window_closed", "1 while a rate-limit window serves nothing.", closed, labels)
    resets = [(label, one.resets_at / 1000) for label, one in windows if one.resets_at is not None]
    yield _gauge("window_reset_time_seconds", "When a rate-limit window begins anew.", resets, labels)
    waiting = [(label, one.waiting) for label, one in windows]
    yield _gauge("window_waiting_jobs", "Jobs that wait for a rate-limit window.", waiting, labels)
    now = reading.status.now
    paused = [((one.target,), one.until is not None and one.until > now) for one in reading.breakers]
    yield _gauge("breaker_open", "1 while a target that kept failing is paused.", paused, ["target"])


def _money(reading: Reading) -> Iterator[Metric]:
    spent = [
        ((one.name, one.grade.value), one.cost_micros / 1e6) for one in reading.spent if one.cost_micros is not None
    ]
    what = "Money since midnight, by target and by how surely it is known."
    yield _gauge("spend_today_dollars", what, spent, ["target", "grade"])
    tokens = [
        ((one.name, kind), getattr(one, f"{kind}_tokens"))
        for one in reading.spent
        for kind in ("input", "output", "cache_read", "cache_write", "reasoning")
    ]
    yield _gauge("tokens_today", "Tokens since midnight.", tokens, ["target", "kind"])
