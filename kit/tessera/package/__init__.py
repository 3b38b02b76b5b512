"""Sealed packages: a plan as a program for the secure runtime, and its weights, encrypted.

Goal: `lower` makes a program of a plan and its graph, `seal` encrypts its blocks, `file` writes and
reads them; the format stands in docs/package.md.
Non-goals: planning (`tessera.plan`) and running (`models/dnn/runtime`).
"""
