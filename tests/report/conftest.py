"""Sample results for the report's tests: made up, so that every verdict and mark occurs."""

from __future__ import annotations

import pytest

from tessera.results import (
    Mark,
    Obligation,
    Outcome,
    PatchInfo,
    Results,
    Run,
    Scenario,
    Step,
    Strip,
    Trace,
)

ACTIONS = ("init", "alloc", "free", "shrink", "die", "write")
PROPERTIES = {
    "disjoint": "two live blocks never share a granule",
    "inside": "every block lies in its pool and in the windows of its class",
    "no_residue_read": "nobody reads a granule that holds another owner's data",
    "no_residue_at_rest": "a free granule holds nobody's data",
    "live_intact": "only its owner's write changes the content of a live granule",
    "reserve_kept": "a lower class never occupies a higher class's reserve",
}
PATCH = """\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: Sample <sample@example.org>
Subject: [PATCH] core: mm: a sample <patch>

Says what the sample does.

---
 core/mm/sample.c | 5 ++++-
diff --git a/core/mm/sample.c b/core/mm/sample.c
index 1111111..2222222 100644
--- a/core/mm/sample.c
+++ b/core/mm/sample.c
@@ -10,0 +11,4 @@ static bool sample(const TEE_UUID *uuid)
+\t/* Scrub <before> it can be taken again */
+\tif (memcmp(uuid, &sample_uuid, sizeof(*uuid)) == 0)
+\t\tmemset(va, 0, ROUNDUP(size, SMALL_PAGE_SIZE));
+#define SAMPLE_RESERVE "8 MiB"
@@ -20 +24,0 @@ static void other(void)
-\treturn sample(NULL);
--\x20
2.39.5
"""
POOL = 3328
RESERVE = Mark("reserve", 1280, 2048)


def pool(*runs: Run, marks: tuple[Mark, ...] = ()) -> Strip:
    return Strip("secure pool", POOL, runs, marks, (RESERVE,))


def residue_trace() -> Trace:
    small, dnn = Run("ta1", "ordinary", 0, 1), Run("dnn", "inference", 1280, 700)
    left = (Mark("dnn", 1280, 700),)
    late = Run("ta2", "ordinary", 1200, 300)
    steps = (
        Step("init", ("every granule is free and holds nobody's data",), (pool(),)),
        Step("alloc(w = ta1, n = 1)", ("ta1 gets [0, 1)",), (pool(small),)),
        Step("alloc(w = dnn, n = 700)", ("dnn gets [1280, 1980)",), (pool(small, dnn),)),
        Step("write(w = dnn)", ("dnn's data is in [1280, 1980)",), (pool(small, dnn, marks=left),)),
        Step(
            "free(w = dnn)",
            ("[1280, 1980) is free", "it still holds dnn's data"),
            (pool(small, marks=left),),
        ),
        Step(
            "alloc(w = ta2, n = 300)", ("ta2 gets [1200, 1500)",), (pool(small, late, marks=left),)
        ),
    )
    return Trace(
        {"pool.pages": "3328", "reserve": "2048"},
        steps,
        "granules 1280 to 1500 belong to ta2 and hold dnn's data",
        True,
    )


def overlap_trace() -> Trace:
    a, b = Run("a", "ordinary", 0, 2000), Run("b", "inference", 1500, 900)
    steps = (
        Step("init", (), (pool(),)),
        Step("alloc(a)", (), (pool(a),)),
        Step("alloc(b)", (), (pool(a, b),)),
    )
    return Trace({}, steps, "blocks a and b share granule 1500")


def obligations() -> tuple[Obligation, ...]:
    found = []
    for spec in ("priority", "vanilla"):
        for i, (name, doc) in enumerate(PROPERTIES.items()):
            for j, action in enumerate(ACTIONS):
                bad = spec == "vanilla" and (name, action) == ("no_residue_at_rest", "free")
                found.append(
                    Obligation(
                        f"{spec}/{action}/{name}",
                        name,
                        doc,
                        "VIOLATED" if bad else "PROVED",
                        "violated" if bad else "proved",
                        True,
                        0.013 * (i + 1) * (j + 2),
                        4210 * (i + j),
                        span="specs/sample.tess:12:3",
                        formula="forall a, b in live: a != b => end(a) <= b",
                        trace=residue_trace() if bad else None,
                    )
                )
    return tuple(found)


@pytest.fixture
def sample() -> Results:
    figures = {"images": 360.0, "largest logit difference": 3.8e-6}
    scenarios = (
        Scenario(
            "infer",
            "the network answers as the reference does",
            Outcome(True, "360 of 360 agree", figures),
            Outcome(True, "360 of 360 agree", figures),
            True,
            True,
            True,
        ),
        Scenario(
            "starve",
            "ordinary TAs take all they can, then inference opens",
            Outcome(False, "TEEC_OpenSession: out of memory", {"pages left": 12.0}),
            Outcome(True, "opens", {"pages left": 2048.0}),
            False,
            True,
            True,
        ),
        Scenario(
            "residue",
            "secure RAM is searched for the weights after the session closed",
            Outcome(False, "3 hits", {"hits": 3}, "logs/residue.log"),
            Outcome(True, "no hit", {"hits": 0}),
            False,
            True,
            True,
        ),
    )
    patch = PatchInfo(
        PATCH,
        25,
        1,
        32,
        ("core/mm/sample.c",),
        {"reserve pool": 11, "class of a session": 9, "scrub on free": 6},
        "OP-TEE 4.10.0",
    )
    return Results(
        "priority",
        "Secure inference may be neither starved nor remembered.",
        "specs/policies/priority.tess",
        "ab" * 32,
        obligations(),
        patch,
        scenarios,
        {
            "tessera": "0.1.0",
            "python": "3.11.7",
            "z3": "4.16.0",
            "OP-TEE": "4.10.0",
            "QEMU": "7.2.15",
        },
    )
