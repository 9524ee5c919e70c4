#!/usr/bin/env python3
"""Kinds of lines, the first match with its surroundings, and a rate over time, of logs of any size.

    logwindow.py kinds LOG [--top 30]
    logwindow.py first LOG REGEX [--around 15] [--nth 1]
    logwindow.py rate  LOG REGEX [--by minute]

LOG may be .gz, or - for standard input. Reads once, in bounded memory. Python 3.9, standard library only.
"""

from __future__ import annotations

import argparse
import gzip
import re
import sys
from collections import deque
from itertools import islice

WIDTH = 300  # characters of a line that are shown
KINDS = 20_000  # kinds that are remembered: what comes later is counted together

# The most special first: what one has replaced, the next does not see.
SIGNS = [
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d\b"), "<time>"),
    (re.compile(r"\b\d\d:\d\d:\d\d([.,]\d+)?\b"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.I), "<uuid>"),
    (re.compile(r"\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b"), "<address>"),
    (re.compile(r"0x[0-9a-f]+", re.I), "<hex>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{4,}\b", re.I), "<hex>"),
    (re.compile(r"\"[^\"]{1,200}\"|'[^']{1,200}'"), "<text>"),
    (re.compile(r"-?\d+(\.\d+)?"), "<n>"),
]
TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d)|([A-Z][a-z]{2} [ \d]\d) (\d\d):(\d\d):\d\d|\b(\d\d):(\d\d):\d\d")


def kind(line):
    """A line with what differs from case to case replaced."""
    for pattern, sign in SIGNS:
        line = pattern.sub(sign, line)
    return " ".join(line.split())[:WIDTH]


def lines(name):
    if name == "-":
        stream = sys.stdin.buffer
    elif name.endswith(".gz"):
        stream = gzip.open(name, "rb")
    else:
        stream = open(name, "rb")
    for raw in stream:
        yield raw.rstrip(b"\r\n").decode("utf-8", "replace")


def kinds(args):
    found, others, total = {}, 0, 0
    for number, line in enumerate(lines(args.log), 1):
        total = number
        if not line.strip():
            continue
        name = kind(line)
        seen = found.get(name)
        if seen:
            seen[0] += 1
            seen[2] = number
        elif len(found) < KINDS:
            found[name] = [1, number, number]
        else:
            others += 1
    print(f"{total} lines, {len(found)} kinds" + (f", {others} lines of further kinds" if others else ""))
    print(f"{'COUNT':>9} {'FIRST':>9} {'LAST':>9}  KIND")
    order = sorted(found.items(), key=lambda one: (-one[1][0], one[1][1]))
    for name, (count, first, last) in islice(order, args.top):
        print(f"{count:>9} {first:>9} {last:>9}  {name}")
    return 0


def first(args):
    pattern, before, left, matches = re.compile(args.regex), deque(maxlen=args.around), 0, 0
    for number, line in enumerate(lines(args.log), 1):
        hit = pattern.search(line) is not None
        matches += hit
        if hit and matches == args.nth:
            for past, text in before:
                print(f"{past:>9}   {text[:WIDTH]}")
            print(f"{number:>9} > {line[:WIDTH]}")
            left = args.around
        elif left:
            print(f"{number:>9} {'*' if hit else ' '} {line[:WIDTH]}")
            left -= 1
        before.append((number, line))
    print(f"{matches} lines match", file=sys.stderr)
    return 0 if matches >= args.nth else 1


def rate(args):
    pattern, counts, undated, last = re.compile(args.regex), {}, 0, None
    for line in lines(args.log):
        stamp = TIME.search(line)
        if stamp:
            day, hour, minute = (
                [group for group in stamp.groups() if group][-3:] if stamp[7] is None else ("", stamp[7], stamp[8])
            )
            last = f"{day} {hour}:{minute if args.by == 'minute' else '00'}".strip()
            counts.setdefault(last, 0)
        if pattern.search(line):
            if last is None:
                undated += 1
            else:
                counts[last] += 1  # a line without a time belongs to the one before it
    most = max(counts.values(), default=0)
    for when, count in counts.items():
        print(f"{when}  {count:>7}  {'#' * round(count * 60 / most) if most else ''}")
    if undated:
        print(f"{undated} before the first time", file=sys.stderr)
    return 0 if most or undated else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, does in (("kinds", kinds), ("first", first), ("rate", rate)):
        one = verbs.add_parser(verb)
        one.set_defaults(does=does)
        one.add_argument("log")
        if verb == "kinds":
            one.add_argument("--top", type=int, default=30)
        else:
            one.add_argument("regex")
        if verb == "first":
            one.add_argument("--around", type=int, default=15)
            one.add_argument("--nth", type=int, default=1)
        if verb == "rate":
            one.add_argument("--by", choices=("minute", "hour"), default="minute")
    args = parser.parse_args()
    try:
        return args.does(args)
    except re.error as error:
        parser.error(f"the pattern: {error}")
    except OSError as error:
        parser.error(f"{args.log}: {error.strerror}")
    except BrokenPipeError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
