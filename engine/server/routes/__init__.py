"""The calls of the API by family: each file gives its routes over an engine."""
