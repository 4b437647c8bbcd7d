"""Routers and switches by their command line: configuration, state, and changes that take themselves back."""
