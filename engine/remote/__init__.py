"""An engine on another machine, over the one stream of an ssh: as many conversations in it as are needed."""
