"""What the processes of an attempt may take of the machine."""

from __future__ import annotations

from msgspec import Struct

from engine.units import amount, span


class Resources(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Limits of one attempt; 0 is without one. `memory`, `pids` and `cpu_time` are of all its processes together."""

    memory: int = 0
    """Bytes."""
    pids: int = 0
    """Processes and threads, as the kernel counts them."""
    cpu_time: int = 0
    """Milliseconds of processor time."""
    nofile: int = 0
    """Open files of each process."""
    fsize: int = 0
    """Bytes of a file that one of them writes."""
    address_space: int = 0
    """Bytes that each may map, whether it uses them or not."""

    def __str__(self) -> str:
        """In words, what has no limit left out."""
        parts = [
            self.memory and f"{amount(self.memory)} of memory",
            self.pids and f"{self.pids} processes and threads",
            self.cpu_time and f"{span(self.cpu_time)} of processor time",
            self.nofile and f"{self.nofile} open files",
            self.fsize and f"files of {amount(self.fsize)}",
            self.address_space and f"{amount(self.address_space)} of address space",
        ]
        return ", ".join(str(one) for one in parts if one)
