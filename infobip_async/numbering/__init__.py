"""Numbers: which ones can be written to the wire, and what an HLR's answer about one means."""
