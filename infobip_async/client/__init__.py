"""The client: requests to the gateway, and their outcomes."""
