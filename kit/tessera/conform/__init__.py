"""The emitted C against the model, on the host.

Goal: run the page pool of a real, patched OP-TEE tree, compiled unchanged against small shims.
Non-goals: proofs about the C, and the guest (see `tessera.guest`).
"""
