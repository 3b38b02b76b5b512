"""State machine to obligations to verdicts; the only package that imports z3."""
