"""A stand-in for an agent's own screen: keeps to a session, runs commands, and leaves on `/exit`.

One file, standard library only, run at a terminal as `python -I -S screen.py --resume UUID`.
"""
# ruff: noqa: T201

from __future__ import annotations

import os
import sys


def main(words: list[str]) -> int:
    """Read lines until `/exit` or the end of the input. `!command` runs one; other lines are answered."""
    if len(words) != 2 or words[0] != "--resume":
        os.write(2, b"usage: screen.py --resume UUID\n")
        return 1
    print(f"rehearsal: session {words[1]} in {os.getcwd()}")  # noqa: PTH109 - pathlib would double the start
    print("!command runs a command, /exit leaves")
    while True:
        try:
            line = input("> ").strip()
        except EOFError:
            return 0
        except KeyboardInterrupt:
            print("\n(/exit leaves)")
            continue
        if line == "/exit":
            print("bye")
            return 0
        if line.startswith("!"):
            print(f"exit {os.waitstatus_to_exitcode(os.system(line[1:]))}")
        elif line:
            print(f"noted: {line}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
