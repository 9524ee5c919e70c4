"""Drills: what the engine is put through on purpose, and what came of it."""
