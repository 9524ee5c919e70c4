"""HTTP and server-sent events over a UNIX socket, and the client that speaks it."""
