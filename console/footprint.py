"""What an attempt takes of the machine, in words. Pure."""

from __future__ import annotations

from console.format import age, plural
from engine.model import Attempt

MIB = 1 << 20


def footprint_text(attempt: Attempt) -> str | None:
    """Memory, processor time and processes: now and at most for one that runs, at most for one that has ended."""
    now = attempt.now
    parts = []
    if now is not None and now.memory is not None:
        parts.append(f"{now.memory / MIB:.0f} MiB now")
    if attempt.memory_peak is not None:
        parts.append(f"{attempt.memory_peak / MIB:.0f} MiB at most")
    used = now.cpu_ms if now is not None else attempt.cpu_ms
    if used is not None:
        parts.append(f"{used / 1000:.1f} s of CPU" if used < 60_000 else f"{age(used)} of CPU")
    if now is not None and now.processes is not None:
        parts.append(plural(now.processes, "process", "processes"))
    elif attempt.processes_peak:
        parts.append(f"{plural(attempt.processes_peak, 'process', 'processes')} at most")
    return ", ".join(parts) or None
