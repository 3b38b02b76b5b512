"""Small changes of a spec, and what notices them.

A demand that no change can break demands nothing. `tessera.mutate.survey` changes a checked spec
one node at a time and asks, for each change, which property notices it.
"""
