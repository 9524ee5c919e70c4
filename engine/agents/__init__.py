"""One file an agent: argv in, events out. Nothing else in Headway knows a CLI's flags or its JSON."""
