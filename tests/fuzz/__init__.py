"""Fuzzing of everything that Headway reads from others: files, streams, requests, messages, words.

`python -m tests.fuzz [--minutes N] [TARGET...]`, or `make fuzz`. What it finds is written to build/fuzz as the bytes
that did it; once mended, these become an entry of `corpus/TARGET`, which the suite reads each time it runs.
"""
