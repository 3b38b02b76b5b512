"""Rewrites of a graph that keep what it computes: folding, and leaving out what is not needed.

Goal: each pass takes a graph and gives a graph with the same inputs and outputs and the same values
(exactly, or to float32 rounding where its docstring says so).
Non-goals: passes that change the numbers (quantisation, pruning).
"""
