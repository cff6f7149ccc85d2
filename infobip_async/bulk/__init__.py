"""Sending many messages: one outcome for each, at most once, resumable."""
