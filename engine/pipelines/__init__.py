"""Pipelines: files that declare a graph of steps, and what brings one of them from its first step to its last."""
