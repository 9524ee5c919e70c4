"""JSON that somebody else wrote: what its reader raises where it is none."""

from __future__ import annotations

import msgspec

#: msgspec's own errors, and two that it lets through: text that is no UTF-8, and brackets deeper than the stack.
NOT_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
