"""The client of an engine on the network: TLS, with its certificate pinned or signed, and a token."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from pathlib import Path
from typing import Any

import httpx

from engine.errors import HeadwayError, NoEngineError, TooManyError, UsageError
from engine.remote.address import Address
from engine.server.client import Client
from engine.server.link import ANSWER_SECONDS

_CONNECT_SECONDS = 15.0
_TRIES = 4  #: of a call that was too much: nothing of it was done
_LONGEST_WAIT = 10.0  #: seconds between two of them; who is put off for longer is told so


class NetworkClient(Client):
    """Use as the client of a home."""

    def __init__(self, address: Address) -> None:
        super().__init__(Path())
        self._address = address

    def opened(self) -> httpx.AsyncClient:
        """Raises `UsageError` where who signs the certificate cannot be read."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        return httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(verify=_context(self._address), limits=limits, trust_env=False),
            base_url=str(self._address),
            headers={"Authorization": f"Bearer {self._address.token}"},
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=_CONNECT_SECONDS),
        )

    async def call(self, method: str, path: str, **options: Any) -> bytes:
        for _ in range(_TRIES - 1):
            try:
                return await super().call(method, path, **options)
            except TooManyError as error:
                if error.retry_after > _LONGEST_WAIT:
                    raise
                await asyncio.sleep(error.retry_after)
        return await super().call(method, path, **options)

    def lost(self, error: httpx.TransportError) -> HeadwayError:
        if isinstance(error, httpx.ConnectError) and (why := _distrust(error)):
            return NoEngineError(f"{self._address}: {why}")
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return NoEngineError(f"no engine answers at {self._address}: {error or 'it takes too long'}")
        if isinstance(error, httpx.TimeoutException):
            return super().lost(error)
        return NoEngineError(f"the line to {self._address} was lost in the middle of an answer")


def _context(address: Address) -> ssl.SSLContext:
    if address.fingerprint is not None:
        pinned = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        pinned.check_hostname = False
        pinned.verify_mode = ssl.CERT_NONE  # the pin is held against it instead, before anything is sent
        pinned.sslobject_class = _pinned(address.fingerprint)
        return pinned
    try:
        return ssl.create_default_context(cafile=address.ca_file)
    except OSError as error:
        raise UsageError(f"--ca-file: {address.ca_file} is no certificate in the PEM format ({error})") from None


def _pinned(fingerprint: str) -> type[ssl.SSLObject]:
    """A TLS conversation that only begins with who has that certificate."""

    class Pinned(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            found = hashlib.sha256(self.getpeercert(binary_form=True) or b"").hexdigest()
            if found != fingerprint:
                raise ssl.SSLCertVerificationError(f"its certificate is sha256:{found}, and not the one that is pinned")

    return Pinned


def _distrust(error: BaseException | None) -> str:
    """Why the certificate was not taken; empty where it was something else."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            why = getattr(error, "verify_message", "") or str(error.args[-1])
            known = "pin it by --fingerprint, or name who signs it by --ca-file"
            return why if "pinned" in why else f"its certificate is not trusted ({why}): {known}"
        if isinstance(error, ssl.SSLError):
            return f"it speaks no TLS that is good enough ({error.reason or error})"
        error = error.__cause__ or error.__context__
    return ""
