"""Personas: who an agent is to be for a job. Files that anyone can read: reading, finding, and what they say."""
