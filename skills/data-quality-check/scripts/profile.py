#!/usr/bin/env python3
"""A profile of a CSV, TSV or NDJSON file: columns, kinds, empties, ranges, duplicates; or what differs from another.

    profile.py FILE [--key a,b] [--against OLD] [--delimiter ,]

FILE may be .gz, or - for standard input. Streams; memory is bounded by --distinct a column. Values of columns are
shown cut, so do not paste the output where personal data may not go. Python 3.9, standard library only.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import re
import sys
from collections import Counter

EMPTY = {"", "null", "none", "nan", "na", "n/a", "-", "nil", "\\n"}
KINDS = [
    ("int", re.compile(r"[+-]?\d{1,18}")),
    ("float", re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+)([eE][+-]?\d+)?")),
    ("time", re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")),
    ("bool", re.compile(r"true|false|yes|no", re.I)),
]
NUMBERS = ("int", "float")


class Column:
    def __init__(self, limit):
        self.limit = limit
        self.count, self.empty, self.padded = 0, Counter(), 0
        self.kinds, self.values, self.full = Counter(), Counter(), False
        self.low = self.high = self.longest = None

    def take(self, value):
        self.count += 1
        text = value.strip()
        if text.lower() in EMPTY:
            self.empty[text or ("spaces" if value else "empty")] += 1
            return
        self.padded += text != value
        kind = next((name for name, pattern in KINDS if pattern.fullmatch(text)), "text")
        if kind == "int" and len(text.lstrip("+-")) > 1 and text.lstrip("+-")[0] == "0":
            kind = "digits"  # a leading zero: an id, a post code, no number
        self.kinds[kind] += 1
        measured = float(text) if kind in NUMBERS else text
        if self.low is None or isinstance(self.low, type(measured)):
            self.low = measured if self.low is None else min(self.low, measured)
            self.high = measured if self.high is None else max(self.high, measured)
        if len(self.values) < self.limit or text in self.values:
            self.values[text] += 1
        else:
            self.full = True
        self.longest = max(self.longest or 0, len(text))

    @property
    def share(self):
        return sum(self.empty.values()) / self.count if self.count else 0.0

    @property
    def kind(self):
        return self.kinds.most_common(1)[0][0] if self.kinds else "empty"


def opened(name):
    if name == "-":
        return io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace", newline="")
    if name.endswith(".gz"):
        return gzip.open(name, "rt", encoding="utf-8", errors="replace", newline="")
    return open(name, encoding="utf-8", errors="replace", newline="")


def rows(name, delimiter):
    """Each row as a mapping of text, and its odd shape where it has one."""
    stem = name[:-3] if name.endswith(".gz") else name
    with opened(name) as stream:
        if stem.endswith((".ndjson", ".jsonl")):
            for line in stream:
                if line.strip():
                    row = json.loads(line)
                    yield (
                        {k: "" if v is None else v if isinstance(v, str) else json.dumps(v) for k, v in row.items()},
                        "",
                    )
            return
        reader = csv.reader(stream, delimiter=delimiter or ("\t" if stem.endswith(".tsv") else ","))
        head = [one.lstrip("\ufeff") for one in next(reader, [])]
        for row in reader:
            if row:
                odd = f"{len(row)} fields instead of {len(head)}" if len(row) != len(head) else ""
                yield dict(zip(head, row)), odd


def profile(name, args):
    columns, total, odd, keys, twice = {}, 0, Counter(), Counter(), Counter()
    for total, (row, shape) in enumerate(rows(name, args.delimiter), 1):
        if shape:
            odd[shape] += 1
        for title, value in row.items():
            columns.setdefault(title, Column(args.distinct)).take(value)
        key = tuple(row.get(one, "") for one in args.key) if args.key else tuple(sorted(row.items()))
        keys[hash(key)] += 1
        if keys[hash(key)] == 2:
            twice[total] += 1
    repeated = sum(count - 1 for count in keys.values() if count > 1)
    return columns, total, odd, repeated, list(twice)[:3]


def show(name, args):
    columns, total, odd, repeated, where = profile(name, args)
    print(f"{name}: {total} rows, {len(columns)} columns")
    what = f"key {','.join(args.key)}" if args.key else "whole rows"
    print(f"duplicates by {what}: {repeated}" + (f", such as row {', '.join(map(str, where))}" if where else ""))
    for shape, count in odd.most_common(3):
        print(f"odd: {count} rows have {shape}")
    for title, one in columns.items():
        missing = total - one.count
        kinds = ", ".join(f"{kind} {count}" for kind, count in one.kinds.most_common(3))
        empty = ", ".join(f"{how!r} {count}" for how, count in one.empty.most_common(3))
        distinct = f"{len(one.values)}{'+' if one.full else ''}"
        print(f"\n{title}: {kinds or 'empty'}; {distinct} distinct; longest {one.longest or 0}")
        if empty or missing:
            print(
                f"  empty {one.share:.1%}"
                + (f": {empty}" if empty else "")
                + (f"; absent {missing}" if missing else "")
            )
        if one.low is not None:
            print(f"  from {str(one.low)[:40]} to {str(one.high)[:40]}")
        if one.padded:
            print(f"  {one.padded} with spaces around")
        common = [(value, count) for value, count in one.values.most_common(3) if count > 1]
        if common:
            print("  often: " + ", ".join(f"{value[:40]!r} {count / one.count:.0%}" for value, count in common))
        if len(one.kinds) > 1:
            rare = one.kinds.most_common()[-1]
            print(f"  mixed: {rare[1]} of kind {rare[0]} among {one.kind}")
    return 0


def compare(name, args):
    new, total, _, _, _ = profile(name, args)
    old, before, _, _, _ = profile(args.against, args)
    print(f"rows {before} -> {total} ({(total - before) / before:+.1%})" if before else f"rows 0 -> {total}")
    moved = 0
    for title in [*old, *(one for one in new if one not in old)]:
        said = []
        if title not in new:
            said.append("gone")
        elif title not in old:
            said.append(f"new: {new[title].kind}")
        else:
            a, b = old[title], new[title]
            if a.kind != b.kind:
                said.append(f"kind {a.kind} -> {b.kind}")
            elif fresh := set(b.kinds) - set(a.kinds):
                said.append(f"kinds that were not there: {', '.join(sorted(fresh))}")
            if abs(a.share - b.share) > max(0.01, a.share / 3):
                said.append(f"empty {a.share:.1%} -> {b.share:.1%}")
            if a.kind == b.kind and a.kind in NUMBERS and a.low is not None and b.low is not None:
                if isinstance(b.low, float) and isinstance(a.low, float) and (b.low < a.low or b.high > a.high):
                    said.append(f"range {a.low:g}..{a.high:g} -> {b.low:g}..{b.high:g}")
            if not a.full and not b.full and len(a.values) <= 50:
                if unseen := sorted(set(b.values) - set(a.values)):
                    said.append(f"values that were not there: {', '.join(one[:30] for one in unseen[:5])}")
        for one in said:
            moved += 1
            print(f"{title}: {one}")
    if list(old) != list(new) and set(old) == set(new):
        moved += 1
        print("the order of the columns has changed")
    print(f"{moved} differences")
    return 1 if moved else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--key", type=lambda text: text.split(","), default=[])
    parser.add_argument("--against")
    parser.add_argument("--delimiter")
    parser.add_argument("--distinct", type=int, default=10_000, help="values of a column that are remembered")
    args = parser.parse_args()
    try:
        return compare(args.file, args) if args.against else show(args.file, args)
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}")
    except (ValueError, AttributeError, csv.Error) as error:
        parser.error(f"it cannot be read: {error}")
    except BrokenPipeError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
