"""The orchestration engine: a durable queue of agent attempts. `Engine` and `Client` are its only doors."""

__version__ = "0.1.0"
