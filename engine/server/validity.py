"""Until when a certificate is good, by its own bytes: what makes certificates is an extra, and to serve one is not."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

from engine.errors import UsageError

SOON_DAYS = 21  #: before its end a certificate is a finding: time enough to have one signed

_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x30, 0x17, 0x18, 0xA0


def ends(certificate: Path) -> datetime:
    """When the first certificate of a file, which is the one that is shown, ends. Raises `UsageError`."""
    try:
        return _not_after(first(certificate))
    except (OSError, ValueError, IndexError):
        raise UsageError(f"{certificate} is no certificate in the PEM format") from None


def first(certificate: Path) -> bytes:
    """The first certificate of a PEM file, DER. Raises `OSError` or `ValueError`."""
    text = certificate.read_text(encoding="ascii", errors="replace")  # others' tools write comments before it
    head, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return ssl.PEM_cert_to_DER_cert(text[text.index(head) : text.index(end) + len(end)])


def left(certificate: Path, now: datetime) -> tuple[int, str]:
    """Days that it is good for, negative once it has ended, and what to say of that. Raises `UsageError`."""
    end = ends(certificate)
    days = (end - now).days
    when = f"ends on {end:%Y-%m-%d}, in {days} days" if days >= 0 else f"ended on {end:%Y-%m-%d}"
    return days, f"{certificate} {when}"


def _not_after(der: bytes) -> datetime:
    """RFC 5280, section 4.1: version (with a tag of its own), serial, algorithm, issuer, and then its two times."""
    ((_, whole),) = _parts(der)
    fields = [one for one in _parts(_parts(whole)[0][1]) if one[0] != _VERSION]
    kind, told = _parts(fields[3][1])[1]
    if kind not in (_UTC_TIME, _GENERALIZED_TIME):
        raise ValueError("no time")
    text = told.decode("ascii")
    if kind == _UTC_TIME:  # two digits of the year: 50 to 99 are of the last century (section 4.1.2.5.1)
        text = f"{'19' if text >= '50' else '20'}{text}"
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _parts(der: bytes) -> list[tuple[int, bytes]]:
    """The values that follow each other: tag and content (X.690, section 8.1)."""
    found, at = [], 0
    while at < len(der):
        tag, size = der[at], der[at + 1]
        at += 2
        if size & 0x80:
            count = size & 0x7F
            size, at = int.from_bytes(der[at : at + count]), at + count
        if at + size > len(der):
            raise ValueError("it is cut off")
        found.append((tag, der[at : at + size]))
        at += size
    return found
