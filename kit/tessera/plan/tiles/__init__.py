"""Less memory than the largest layer needs: bands of rows, blocks of weights, and which to choose.

Goal: a schedule of small steps whose live bytes fit a budget, at the least cost that was found.
Non-goals: offsets in the arena (`tessera.plan.arena`) and checking itself: a certificate is judged
by code that imports nothing of this package.
"""
