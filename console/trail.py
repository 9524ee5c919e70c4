"""The way of a key, and of what widgets said because of it, through the app: who is reached has seen them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from textual.dom import DOMNode
from textual.events import Callback
from textual.message_pump import MessagePump

#: A key comes up from the widget that has the focus, then what that one said, then what is made of that.
_TIMES = 3


class Trail:
    """Goes behind the messages of each node from the inmost outwards, thrice, and then calls `end`."""

    #: Textual looks here before it takes a callback's signature apart, which was a third of what a key cost.
    _param_count: ClassVar[int] = 0

    def __init__(self, nodes: Sequence[DOMNode], end: Callable[[], None]) -> None:
        self._left: Iterator[DOMNode] = (node for _ in range(_TIMES) for node in nodes)
        self._end = end

    def __call__(self) -> None:
        for node in self._left:
            if isinstance(node, MessagePump) and node.is_running and node.post_message(Callback(callback=self)):
                return
        self._end()
