"""Skills in the Agent Skills format: found, read, matched to a job, and put into words. Pure but for reading files.

Nothing is imported here: the words of the log use `skill` alone, and need no YAML.
"""
