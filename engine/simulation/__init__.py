"""A model of the dispatcher on a fleet that nobody has: its own decisions, played by the clock of a simulation."""
