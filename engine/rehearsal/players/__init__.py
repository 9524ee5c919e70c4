"""Who plays a scenario, one file a format, in the standard library alone: a fleet starts hundreds of these at once."""

#: What `--version` says, and every stream and record that tells one. A rehearsal is one program, whatever it plays: of
#: another version of it, a session would be given up.
VERSION = "2.1.330"
