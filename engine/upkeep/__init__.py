"""Upkeep: what keeps a home small, whole and movable. Prune, retention of run files, quarantine, backup, export."""
