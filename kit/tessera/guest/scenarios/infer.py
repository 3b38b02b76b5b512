"""Scenario `infer`: held-out digits through the inference TA give the reference's answers."""

from __future__ import annotations

from tessera.dnn import digits, reference
from tessera.guest.scenarios.bench import IMAGES, MODEL, Bench, InconclusiveError, compare
from tessera.results import Outcome

NAME = "infer"
DOC = "The inference TA classifies the held-out digits exactly as the reference does."
LEAST_IMAGES = 100
_OUT = "/tmp/logits.f32"


def trial(bench: Bench) -> Outcome:
    """Run all held-out digits through the TA of one side."""
    images, labels = digits.held_out()
    if len(images) < LEAST_IMAGES:
        raise InconclusiveError(f"only {len(images)} held-out images")
    with bench.boot(NAME) as guest:
        result = guest.run(f"tessera_dnn infer {MODEL} {IMAGES} {_OUT}", timeout=120)
        if result.status != 0:
            return Outcome(False, f"tessera_dnn failed: {result.output.strip()}")
        raw = guest.read_file(_OUT)
        ready = guest.ready_seconds
    seen = compare(raw, images)
    expected = reference.accuracy(reference.run(digits.model(), images), labels)
    return Outcome(
        passed=seen.holds,
        detail=f"{seen.same_top1} of {seen.images} digits as the reference, "
        f"logits within {seen.largest_difference:.1e}",
        figures={
            "images": seen.images,
            "same_top1": seen.same_top1,
            "largest_difference": seen.largest_difference,
            "reference_accuracy": expected,
            "ready_seconds": round(ready, 2),
        },
    )
