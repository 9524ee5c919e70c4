"""What passed through the tap of one attempt."""

from __future__ import annotations

from msgspec import Struct


class TapState(Struct, frozen=True, kw_only=True):
    """The calls of an attempt to its provider, and what their answers told. Nothing of what was said is in it."""

    job: int
    attempt: int
    account: str
    upstream: str
    """The provider's host."""
    calls: int = 0
    running: int = 0
    """Calls that are not answered to their end."""
    refused: int = 0
    """Answers of status 429, and others that say that the provider does not serve now."""
    failed: int = 0
    """Calls for which there was no answer."""
    input_tokens: int = 0
    """Without what came from a cache or went into one, as in the ledger."""
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    status: int | None = None
    """Of the newest answer."""
    retry_at: int | None = None
    """Milliseconds UTC: what the newest answer said, where it was a refusal."""
