"""Telling the operator: what is worth it, on which channel, and when."""
