"""Weights in fewer bytes: a lossless block code whose decoder fits into a trusted application.

Goal: what is decrypted follows what is stored, so fewer bytes stored is time saved; every block
decodes alone, in memory that is known before.
Non-goals: codes that look beyond single bytes. They were measured: on the zoo's int8 and float32
weights zlib and LZMA come out larger than the plain code here (docs/nets.md), with decoders many
times its size; so this is our own code of some hundred lines and no library.
"""
