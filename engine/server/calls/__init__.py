"""The calls of the client by family: `engine.server.client.Client` is all of them."""
