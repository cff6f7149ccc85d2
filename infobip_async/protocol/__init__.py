"""The interface without I/O: bytes and str in, models out; one module per wire format.

Each format has the same verbs: `encode_request` and `decode_reply` for a client, `decode_request`
and `encode_reply` for a gateway, `encode_push` and `decode_push` for what a gateway pushes.
"""
