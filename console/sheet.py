"""The rules of how everything looks, read once for each set of colours."""

from __future__ import annotations

from textual.css.stylesheet import Stylesheet


class Sheet(Stylesheet):
    """Textual's own parses every rule anew for each screen that is seen for the first time: 10 ms before it stands."""

    def set_variables(self, variables: dict[str, str]) -> None:
        """Take other colours, and forget what was read with the ones before; the same ones change nothing."""
        if variables != self._variables:
            super().set_variables(variables)

    def reparse(self) -> None:
        """Put the rules together; only what has not been read with these colours is parsed."""
        self.parse()
