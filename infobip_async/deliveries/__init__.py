"""What became of messages: their requests and their reports, joined, in memory or in a store."""
