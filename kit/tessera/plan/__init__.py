"""A network's graph to a memory plan: import, passes, reference execution, arena, certificate.

Goal: decide before anything runs where every byte of a network lives, and say it as data that an
independent checker can refuse.
Non-goals: running networks fast, training them, and the C runtime (`models/dnn/runtime`).
"""
