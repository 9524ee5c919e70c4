"""Plain model calls: one question, one answer, through the providers' own client libraries.

`agent` is what the engine sees. `call` is the process that an attempt is: it reads what to ask from a file, asks, and
prints `lines`, which `parser` turns into events. Each of `messages`, `responses`, `chat` and `gemini` speaks one API.
"""
