"""What every body of an event is."""

from __future__ import annotations

from msgspec import Struct


class Body(Struct, frozen=True, tag_field="kind", omit_defaults=True):
    """Base of the event bodies; the tag says which."""
