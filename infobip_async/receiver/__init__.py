"""Receives pushes, whatever server they come through: admission, acknowledgement, and URLs."""
