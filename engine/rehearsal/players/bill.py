"""What the model's answers cost: tokens of each call, and their price."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.rehearsal.players.wire import Json

TOLD = 12  #: tokens of a call that are neither in the cache nor go into it


class Call:
    """One call of the model. `output` has in it what was `reasoned`."""

    def __init__(self, read: int, written: int) -> None:
        self.read, self.written = read, written
        self.output = self.reasoned = 0


class Bill:
    """The sum of calls. Prices are dollars for a million tokens."""

    def __init__(self, price: Json) -> None:
        self.price = price
        self.input = self.output = self.read = self.written = 0

    def call(self, read: int, written: int) -> None:
        self.input, self.read, self.written = self.input + TOLD, self.read + read, self.written + written

    def cost(self) -> float:
        return dollars(self.price, self.input, self.read, self.written, self.output)


def dollars(price: Json, told: int, read: int, written: int, output: int) -> float:
    sums = told * price["input"] + read * price["cache_read"] + written * price["cache_write"]
    return float(round((sums + output * price["output"]) / 1e6, 6))
