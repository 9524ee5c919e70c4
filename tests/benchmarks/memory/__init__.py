"""How well memory finds, and how fast, on sets that are made here: `make bench-memory`."""
