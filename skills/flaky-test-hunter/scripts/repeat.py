#!/usr/bin/env python3
"""Run a command many times and say what the failures allow one to claim.

    repeat.py -n 50 [--load N] [--timeout S] [--stop-after K] [--keep DIR] -- COMMAND...

Exit code 1 where at least one run failed. Python 3.9, standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import re
import subprocess
import sys
import time
from pathlib import Path

BUSY = "while True: pass"
Z = 1.96  # 95 %


def interval(failed, runs):
    """Where the real rate lies, with 95 %: Wilson's interval; for no failure, the rule of three."""
    if runs == 0:
        return 0.0, 1.0
    if failed == 0:
        return 0.0, 1 - 0.05 ** (1 / runs)
    share, z2 = failed / runs, Z * Z
    middle, spread = share + z2 / (2 * runs), Z * math.sqrt(share * (1 - share) / runs + z2 / (4 * runs * runs))
    return max(0.0, (middle - spread) / (1 + z2 / runs)), min(1.0, (middle + spread) / (1 + z2 / runs))


def kind(code, output):
    """Failures that differ only in numbers and addresses are of one kind."""
    tail = "\n".join(output.decode("utf-8", "replace").splitlines()[-15:])
    return hashlib.sha256(f"{code} {re.sub(r'0x[0-9a-f]+|[0-9]+(?:[.][0-9]+)?', 'N', tail)}".encode()).hexdigest()[:8]


def run(command, timeout):
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout
        )
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as error:
        return "timeout", error.stdout or b""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=50)
    parser.add_argument("--load", type=int, default=0, help="busy loops beside it")
    parser.add_argument("--timeout", type=float, help="seconds of one run")
    parser.add_argument("--stop-after", type=int, default=0, help="failures")
    parser.add_argument("--keep", type=Path, default=Path("repeat-failures"))
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        parser.error("give a command after --")
    load = [subprocess.Popen([sys.executable, "-S", "-c", BUSY]) for _ in range(args.load)]
    kinds, failed, runs, began = {}, 0, 0, time.monotonic()
    try:
        for runs in range(1, args.n + 1):
            code, output = run(command, args.timeout)
            print("." if code == 0 else "F", end="", flush=True)
            if code != 0:
                failed += 1
                name = kind(code, output)
                kinds.setdefault(name, [0, code, runs])[0] += 1
                if kinds[name][0] == 1:
                    args.keep.mkdir(parents=True, exist_ok=True)
                    (args.keep / f"{name}.log").write_bytes(output)
            if args.stop_after and failed == args.stop_after:
                break
    except FileNotFoundError:
        parser.error(f"there is no program {command[0]!r}")
    except KeyboardInterrupt:
        runs = max(0, runs - 1)
    finally:
        for one in load:
            one.kill()
    low, high = interval(failed, runs)
    print(f"\n{failed} of {runs} failed in {time.monotonic() - began:.0f} s: ", end="")
    print(f"below {high:.1%}" if failed == 0 else f"{failed / runs:.1%}, between {low:.1%} and {high:.1%}", "(95 %)")
    for name, (count, code, at) in sorted(kinds.items(), key=lambda one: -one[1][0]):
        print(f"  {count}x exit {code}, first in run {at}: {args.keep / f'{name}.log'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
