"""The receiver without a server: who may push what, and when it is acknowledged."""
