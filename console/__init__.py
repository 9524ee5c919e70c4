"""The operator's face: a Textual console that is only ever a client of an engine."""
