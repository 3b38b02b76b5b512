"""Independent checkers of plans: each reads a plan as data and refuses what breaks a rule.

Goal: judge what the planner gives, with no code of the planner.
Non-goals: planning, and mending what is refused.
"""
