"""What sandboxes were refused of the network."""

from __future__ import annotations

from engine import events as log
from engine.store.rows import read_job
from engine.store.writer import Transaction

_REFUSED = (
    "SELECT json_extract(body, '$.host'), json_extract(body, '$.port') FROM events "
    """WHERE job = ? AND body GLOB '{"kind":"network_refused"*' ORDER BY seq"""
)


def note(tx: Transaction, job: int, attempt: int | None, body: log.NetworkRefused, most: int) -> None:
    """Into the log, where the job is still there and has not been refused as much already."""
    if read_job(tx.connection, job) is None:
        return
    known = refused(tx, job)
    if len(known) < most and f"{body.host}:{body.port}" not in known:
        tx.log(body, job=job, attempt=attempt)


def refused(tx: Transaction, job: int) -> list[str]:
    """The hosts that a job's agents wanted to reach and might not, as `host:port`, the first first."""
    return [f"{host}:{port}" for host, port in tx.connection.execute(_REFUSED, (job,))]
