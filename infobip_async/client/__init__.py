"""The client: what is sent, and what became of it."""
