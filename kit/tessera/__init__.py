"""Tessera: specify, prove, emit and validate the memory policy of a trusted OS."""

__version__ = "0.1.0"
