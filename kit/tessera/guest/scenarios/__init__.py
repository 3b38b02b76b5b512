"""The validation scenarios: a real OP-TEE, unpatched and patched, put to the same trials.

Goal: `run_scenarios` gives one `results.Scenario` per trial with both outcomes side by side; what
each side is expected to do is stated beforehand, so that a trial that stops telling the two apart
is reported as not met.
Non-goals: making the patch (see `tessera.emit`).
"""

from tessera.guest.scenarios.run import DEFINITIONS, QUICK, Definition, run_scenarios, versions

__all__ = ["DEFINITIONS", "QUICK", "Definition", "run_scenarios", "versions"]
