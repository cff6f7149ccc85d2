"""Asyncio client, receiver and simulator for the HTTP SMS and HLR interface."""
