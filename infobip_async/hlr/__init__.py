"""HLR lookups: submit a number, then await the report that the gateway pushes later."""
