"""The moment at which every scripted scene takes place."""

NOW = 1_790_000_000_000  #: milliseconds UTC
MINUTE = 60_000
