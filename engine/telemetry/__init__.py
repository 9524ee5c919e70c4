"""Traces and metrics of jobs for OpenTelemetry: read from the log once it is written, never on the way to it."""
