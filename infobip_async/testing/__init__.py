"""For tests: fixtures of pytest, and conformance kits for journals of one's own."""
