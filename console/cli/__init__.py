"""The command line. What a command needs is imported inside it: `headway --version` loads next to nothing."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the `headway` script."""
    if sys.argv[1:] == ["--version"]:
        from engine import __version__

        print(f"headway {__version__}")
        return
    from console.cli.app import run

    run()
