"""What the four ways of asking have in common: what they are given, what they give back, and how they fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.agents.llm.failures import Told
from engine.agents.llm.lines import Call
from engine.agents.llm.speech import Speech
from engine.model import Failure, Usage

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 30.0
NOT_GIVEN = "none"  #: stands for the key of a server that wants none: the libraries insist on one


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and where to tell of its answer."""

    call: Call
    key: str
    say: Speech
    headers: Callable[[Mapping[str, str]], None]
    """Takes an answer's headers."""
    used: Callable[[Usage], None]
    """Takes what the call has used so far, without its price."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The model ended, for a reason in its provider's word. `failure`: the answer cannot be used."""

    stop: str
    failure: Failure | None = None
    why: str = ""


class Trouble(Exception):  # noqa: N818 - it carries an error, of whatever kind, to where it is judged
    """The call failed: by an error over the wire (`told`), or by the connection, and then the class is plain."""

    def __init__(self, why: str, told: Told | None = None, failure: Failure = Failure.UNKNOWN) -> None:
        super().__init__(why)
        self.why = why
        self.told = told
        self.failure = failure


def timeouts(call: Call) -> httpx2.Timeout:
    """A slow answer is not cut; a silent one is."""
    import httpx2

    return httpx2.Timeout(call.idle, connect=min(CONNECT_SECONDS, call.idle))


def told_by(error: Any) -> Told:
    """An error of one of the two kindred libraries, as it came over the wire."""
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", None)
    headers = {name.lower(): value for name, value in response.headers.items()} if response is not None else {}
    return Told(status if isinstance(status, int) and status >= 400 else None, getattr(error, "body", None), headers)


@contextmanager
def on_the_wire(call: Call) -> Iterator[None]:
    """Turn what goes wrong with the connection into `Trouble`, also in the middle of a stream."""
    import httpx2

    try:
        yield
    except Exception as error:
        cause = _cause(error)
        if isinstance(cause, httpx2.ConnectTimeout | httpx2.ConnectError):
            raise Trouble(f"no connection: {_said(cause)}", failure=Failure.OVERLOADED) from error
        if isinstance(cause, httpx2.TimeoutException):
            why = f"it sent nothing for {call.idle:.0f} s"
            raise Trouble(why, failure=Failure.TIMEOUT) from error
        if isinstance(cause, json.JSONDecodeError):
            raise Trouble("it sent what is no JSON", failure=Failure.OVERLOADED) from error
        if isinstance(cause, httpx2.TransportError | OSError):
            raise Trouble(f"the connection broke: {_said(cause)}", failure=Failure.OVERLOADED) from error
        raise


def broke_off() -> Trouble:
    """The stream ended without the provider's last word."""
    return Trouble("the answer broke off", failure=Failure.OVERLOADED)


def _cause(error: BaseException) -> BaseException:
    """The first error of the connection behind one of a library."""
    import httpx2

    found: BaseException | None = error
    while found is not None:
        if isinstance(found, httpx2.TransportError | OSError):
            return found
        found = found.__cause__
    return error


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
