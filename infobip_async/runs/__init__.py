"""What all runs over many items share."""
