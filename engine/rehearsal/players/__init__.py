"""Who plays a scenario, one file a format, in the standard library alone: a fleet starts hundreds of these at once."""
