"""Structured pruning: channels that matter least go, and the tensors are smaller afterwards.

Goal: whole channels are removed through everything that they touch, step by step, with what the
network still knows measured at every step.
Non-goals: single weights set to zero (a mask saves no memory); changing the depth of a network.
"""
