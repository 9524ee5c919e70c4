"""A stand-in agent that speaks Claude Code's format, its scenarios, and a fleet of them for demos and drills."""
