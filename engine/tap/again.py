"""After a restart: the door of an attempt that runs still, and its account's key, which was in memory alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from engine.config import AccountSettings
from engine.errors import CredentialError
from engine.redact import Secrets
from engine.runner import credentials
from engine.tap.door import Door

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 15.0  #: between two tries: a password manager may wait for somebody to unlock it


async def find_key(door: Door, account: AccountSettings | None, secrets: Secrets, own: Mapping[str, str]) -> None:
    """Look the key up until it is found, or the attempt has ended. Until then its agent is told to come back."""
    whose = door.whose
    if account is None or account.key is None:
        logger.error(
            "job %d: headway.yaml has no key for %s any more: its agent cannot go on", whose.job, whose.account
        )
        return
    while not door.closed:
        try:
            key = await credentials.resolve(account.key, own)
        except CredentialError as error:
            logger.warning("job %d: %s; the tap tries again", whose.job, error)
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            secrets.learn({key})
            door.key = key.encode()
            return
