"""What holds whatever is read: errors of the one tree, in words that a terminal may show, soon, in little memory."""

from __future__ import annotations

import contextlib
import faulthandler
import resource
import signal
import time
from collections.abc import Iterator
from types import FrameType

from engine.errors import HeadwayError
from engine.plain import is_plain, plain
from tests.fuzz.target import Read

CPU_SECONDS = 1.0  #: that an input of at most `SMALL` may take; longer ones in proportion
SMALL = 100_000  #: bytes
HANG_SECONDS = 10  #: of CPU, after which a reader is stopped where it is
ROOM = 1 << 30  #: bytes that a process may grow by while it reads
MESSAGE = 20_000  #: characters of an error
STUCK_SECONDS = 120  #: of the clock: what not even a signal ends is in C


class BrokenError(AssertionError):
    """The contract does not hold."""


class HangingError(BaseException):
    """Raised where a reader is after too much CPU; no reader catches it by accident."""


def holds(read: Read, data: bytes, *, slack: float = 1.0) -> float:
    """Let it be read. Returns the CPU that it took, in seconds; raises `BrokenError`.

    `slack`: how many times longer it may take than it should.
    """
    begun = time.process_time()
    try:
        with _stopped_when_hanging(HANG_SECONDS * slack):
            read(data)
    except HeadwayError as error:
        told(error.message)
    except HangingError:
        raise BrokenError(f"it hangs: {HANG_SECONDS * slack:.0f} s of CPU for {len(data):,} bytes") from None
    except MemoryError:
        raise BrokenError(f"it takes more than {ROOM >> 20} MiB for {len(data):,} bytes") from None
    took = time.process_time() - begun
    if took > CPU_SECONDS * slack * max(1.0, len(data) / SMALL):
        raise BrokenError(f"it takes {took:.1f} s of CPU for {len(data):,} bytes")
    return took


def told(text: str) -> None:
    """Words that a person is shown: of one screen at most, and without what a terminal obeys."""
    if not is_plain(text):
        wrong = sorted(set(text) - set(plain(text)))
        raise BrokenError(f"it says {', '.join(f'U+{ord(c):04X}' for c in wrong[:5])}: {text[:200]!r}")
    if len(text) > MESSAGE:
        raise BrokenError(f"it says {len(text):,} characters: {text[:200]!r}")


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Little memory, and a word from a process that is stuck, for as long as this one reads."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    resource.setrlimit(resource.RLIMIT_DATA, (used + 2 * ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


@contextlib.contextmanager
def _stopped_when_hanging(seconds: float) -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise HangingError

    before = signal.signal(signal.SIGPROF, stop)
    faulthandler.dump_traceback_later(STUCK_SECONDS, exit=True)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGPROF, before)
