"""The one way out of a sandbox whose network is a list: a proxy of the engine's that lets named hosts be reached."""
