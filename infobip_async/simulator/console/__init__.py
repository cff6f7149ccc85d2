"""The console: a page on what the simulator does, and the API behind it."""
