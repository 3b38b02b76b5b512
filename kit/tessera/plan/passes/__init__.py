"""Rewrites of a graph that keep what it computes: folding, and leaving out what is not needed.

Goal: each pass takes a graph and gives a graph with the same inputs and outputs and the same values
(exactly, or to the rounding that its docstring states).
Non-goals: passes that change a network (quantising it, pruning it).
"""
