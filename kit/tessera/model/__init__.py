"""Checked spec to state machine: the concrete evaluator and the simulator."""
