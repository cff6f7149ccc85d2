"""The interface without I/O: bytes and str in, models out; one module per wire format.

Each format has the same verbs. `encode_request` and `decode_reply` serve a client,
`decode_request` and `encode_reply` serve a gateway; the pushed formats have `encode_push` and
`decode_push`.
"""
