"""What the queue can do against raw SQLite and against other queues, measured in one run: `python -m` this package."""
